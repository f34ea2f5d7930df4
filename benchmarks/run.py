#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmarks, one process for each group, pinned to one core, and writes OUT/results.json."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


def progress(text):
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def pin():
    """The last core: interrupts and others' work tend to be on the first."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def revision():
    describe = ["git", "-C", HERE, "describe", "--always", "--dirty"]
    found = subprocess.run(describe, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def measure(program, group, rounds, seconds, raw):
    """What Google Benchmark says about one group, or None if its process failed."""
    output = raw / (group.replace("/", ".") + ".json")
    output.unlink(missing_ok=True)
    command = [program, group, f"--benchmark_repetitions={rounds}", f"--benchmark_min_time={seconds}",
               "--benchmark_enable_random_interleaving=true", f"--benchmark_out={output}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        progress("")
        print(f"{group}: failed with status {done.returncode}\n{done.stderr}", file=sys.stderr)
        return None
    return json.loads(output.read_text())


def summary(raw):
    """The times of each way in milliseconds, and the share of them in which the core was at work for us."""
    ways = {}
    for entry in sorted(raw["benchmarks"], key=lambda entry: entry["family_index"]):
        if entry.get("run_type") == "aggregate":
            continue
        way = ways.setdefault(entry["run_name"].removesuffix("/real_time"), {"ms": [], "busy": []})
        if entry.get("error_occurred"):
            way["error"] = entry["error_message"]
        else:
            way["ms"].append(entry["real_time"])
            way["busy"].append(entry["cpu_time"] / entry["real_time"])
    return {"bytes": int(raw["context"]["bytes"]), "ways": ways}


def compile_times(command, rounds):
    """Seconds for each file of compile_time/, in turns."""
    sources = sorted((HERE / "compile_time").glob("*.cpp"))
    seconds = {source.stem: [] for source in sources}
    for _ in range(rounds):
        for source in sources:
            start = time.monotonic()
            subprocess.run([*command, "-c", source, "-o", os.devnull], check=True)
            seconds[source.stem].append(time.monotonic() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path, help="where the benchmarks were built")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="too short for figures, long enough to see that all works")
    parser.add_argument("filter", nargs="?", default="", help="a regular expression on the names of groups")
    options = parser.parse_intermixed_args()
    rounds, seconds = (2, 0.005) if options.quick else (12, 0.07)

    program = options.build / "xent-benchmarks"
    names = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    names = [name for name in names if re.search(options.filter, name)]
    if not names:
        sys.exit(f"no group's name matches '{options.filter}'")
    raw = options.out / "raw"
    raw.mkdir(parents=True, exist_ok=True)

    start = time.monotonic()
    core, groups, context = pin(), {}, {}
    for number, name in enumerate(names, 1):
        progress(f"[{number}/{len(names)}] {name}")
        measured = measure(program, name, rounds, seconds, raw)
        if measured:
            groups[name], context = summary(measured), measured["context"]
    progress("compile times")
    command = shlex.split((options.build / "compile-command").read_text())
    compiling = compile_times(command, 2 if options.quick else 7)
    progress("")

    head = {"date": datetime.date.today().isoformat(), "CPU": cpu_model(), "core": core, "revision": revision(),
            "XENT_FORCE_ISA": os.environ.get("XENT_FORCE_ISA", ""), "rounds": rounds, "seconds": seconds,
            "quick": options.quick, "took": round(time.monotonic() - start)}
    head |= {key: context[key] for key in ("compiler", "flags", "Eigen", "torch", "oneDNN") if key in context}
    results = {"head": head, "groups": groups, "compile": compiling}
    (options.out / "results.json").write_text(json.dumps(results, indent=1))
    sys.exit(len(groups) < len(names))


main()
