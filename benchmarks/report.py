#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the report of OUT/results.json: tables on the terminal, OUT/results.tsv, two pictures; --write puts the tables
into README.md beside this file, and the pictures into pictures/."""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PEERS = {"eigen": "Eigen -O2", "eigen-native": "Eigen native", "torch": "torch", "onednn": "oneDNN"}
PICTURES = ("ratio", "roofline")


# --- one group ---------------------------------------------------------------------------------------------------------


def family(way):
    return way.split(":")[0]


def best(group, name):
    """The least time of a peer in any of its ways, None if it has none that works."""
    times = [min(way["ms"]) for key, way in group["ways"].items() if family(key) == name and way["ms"]]
    return min(times, default=None)


def limit(group):
    """The least time that the machine allows, and what binds: (ms, 'memory' or 'exp')."""
    return max((best(group, "limit-memory"), "memory"), (best(group, "limit-exp"), "exp"))


def ratio(group, name):
    """How many times xent's time the peer takes."""
    time = best(group, name)
    return time / best(group, "xent") if time else None


def title(name):
    workload, mode = name.split("/")
    return workload.replace("-", " "), mode


# --- tables ------------------------------------------------------------------------------------------------------------


def digits(value, unit=""):
    """Three digits are more than the noise allows."""
    if value is None:
        return ""
    return (f"{value:.0f}" if value >= 99.5 else f"{value:.3g}") + unit


def table(header, rows):
    """Markdown that can be read as it is."""
    rows = [header, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    words = sum(all(not row[column][:1].isdigit() for row in rows[1:]) for column in range(2))
    align = [str.ljust if column < max(words, 1) else str.rjust for column in range(len(header))]
    lines = ["| " + " | ".join(a(cell, width) for a, cell, width in zip(align, row, widths)) + " |" for row in rows]
    rule = "|".join("-" * (w + 2) if a is str.ljust else "-" * (w + 1) + ":" for a, w in zip(align, widths))
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def main_table(groups, peers):
    rows = []
    for name, group in groups.items():
        times = group["ways"]["xent"]["ms"]
        bound, what = limit(group)
        speed = group["bytes"] / min(times) / 1e6
        rows.append([*title(name), f"{digits(min(times))} / {digits(statistics.median(times))}", digits(speed),
                     f"{digits(bound)} {what}", f"{100 * bound / min(times):.0f} %",
                     *(digits(ratio(group, peer), "x") for peer in peers)])
    return table(["workload", "mode", "ms, min / median", "GB/s", "limit, ms", "of it", *(PEERS[p] for p in peers)], rows)


def option_table(groups):
    """Each option's time over that of the plain loss."""
    plain = {name: best(group, "plain") for name, group in groups.items()}
    options = list(next(iter(groups.values()))["ways"])
    rows = [[option, *(f"{best(group, option) / plain[name]:.2f}" for name, group in groups.items())]
            for option in options if option != "plain"]
    return table(["option", *(" ".join(title(name)).replace("options ", "") for name in groups)], rows)


def compile_table(seconds):
    names = {"eigen": "`#include <Eigen/Core>`",
             "xent": "`#include <xent/xent.hpp>`, and one call",
             "xent_gradient": "... with gradient",
             "xent_options": "... with gradient and options",
             "xent_rows": "... with gradient, of rows side by side"}
    rows = [[names[key], f"{min(times):.2f}", f"{statistics.median(times):.2f}"] for key, times in seconds.items()]
    return table(["-O2, one core", "s, min", "median"], rows)


def noise(groups):
    """How far typical and least time lie apart, and how much of the core others had."""
    ways = [way for group in groups.values() for way in group["ways"].values() if way["ms"]]
    spread = statistics.median(statistics.median(way["ms"]) / min(way["ms"]) for way in ways)
    busy = statistics.mean(statistics.mean(way["busy"]) for way in ways)
    return f"noise: median over least time {spread:.2f}; the core was {100 * busy:.0f} % ours"


def heading(head, groups):
    versions = ", ".join(f"{key} {head[key]}" for key in ("Eigen", "torch", "oneDNN") if key in head)
    isa = head["XENT_FORCE_ISA"] or "chosen by the library"
    lines = [f"{head['date']}, xent {head['revision']}, {head['CPU']}, core {head['core']}",
             f"{head['compiler']} {head['flags']}, {versions}; instruction set: {isa}",
             f"{head['rounds']} rounds of {head['seconds']} s, {head['took']} s in all; {noise(groups)}"]
    if head["quick"]:
        lines.append("A QUICK RUN: it shows that everything works, the figures mean nothing.")
    return "\n".join(lines)


def faults(groups):
    return [f"{name}: {way}: {found['error']}" for name, group in groups.items()
            for way, found in group["ways"].items() if "error" in found]


def tsv(groups):
    """Everything, for other tools."""
    lines = ["workload\tmode\tway\tms_min\tms_median\trounds\tbytes"]
    for name, group in groups.items():
        for key, way in group["ways"].items():
            if way["ms"]:
                figures = (f"{min(way['ms']):.6g}", f"{statistics.median(way['ms']):.6g}", len(way["ms"]), group["bytes"])
                lines.append("\t".join(map(str, [*name.split("/"), key, *figures])))
    return "\n".join(lines) + "\n"


# --- pictures ----------------------------------------------------------------------------------------------------------


def panels(groups):
    """The groups of the left panel (losses, values) and of the right one (gradients), by the row they share."""
    rows, found = [], {"left": {}, "right": {}}
    for name, group in groups.items():
        workload, mode = title(name)
        row = f"{workload} in place" if mode == "in-place" else workload
        if row not in rows:
            rows.append(row)
        found["left" if mode in ("loss", "values") else "right"][row] = group
    return rows, found


def draw(groups, peers, out):
    """One file of figures for each panel: row, its name, share of the limit, what binds, ratio to each peer."""
    rows, found = panels(groups)
    for side, column in found.items():
        lines = []
        for number, row in enumerate(rows):
            figures = ["NaN"] * (2 + len(PEERS))
            if group := column.get(row):
                bound, what = limit(group)
                ratios = (ratio(group, peer) if peer in peers else None for peer in PEERS)
                figures = [f"{100 * bound / best(group, 'xent'):.4g}", "1" if what == "exp" else "0",
                           *(f"{r:.4g}" if r else "NaN" for r in ratios)]
            lines.append("\t".join([str(number), row, *figures]))
        (out / f"{side}.dat").write_text("\n".join(lines) + "\n")
    names = " ".join(f'"{name}"' for name in PEERS.values())
    settings = f"out='{out}'; rows={len(rows)}; peers='{names}'"
    # gnuplot warns of every peer that is missing in a panel, so its words are shown only if it fails.
    drawn = subprocess.run(["gnuplot", "-e", settings, HERE / "pictures.gp"], capture_output=True, text=True, check=False)
    if drawn.returncode != 0:
        sys.exit(drawn.stderr)


# --- everything --------------------------------------------------------------------------------------------------------


def tables(results):
    groups = {name: group for name, group in results["groups"].items() if "xent" in group["ways"]}
    options = {name: group for name, group in results["groups"].items() if "plain" in group["ways"]}
    peers = [peer for peer in PEERS if any(best(group, peer) for group in groups.values())]
    parts = []
    if groups:
        parts += ["The peers' columns have their times in xent's: 2x is twice as long. The limit is what binds, moving the "
                  "bytes or\ntaking the exponentials.", main_table(groups, peers)]
    if options:
        parts += ["Options, times the plain loss:", option_table(options)]
    parts += ["Compile time:", compile_table(results["compile"])]
    return groups, peers, "\n\n".join(parts)


def write(head, text):
    """Between the marks of README.md; a picture that could not be drawn is not shown."""
    readme = HERE / "README.md"
    before, rest = readme.read_text().split("<!-- results -->")
    after = rest.split("<!-- /results -->")[1]
    shown = [f"![{name}](pictures/{name}.svg)" for name in PICTURES if (HERE / "pictures" / f"{name}.svg").exists()]
    body = "\n\n".join([f"```text\n{head}\n```", text, *shown])
    readme.write_text(f"{before}<!-- results -->\n{body}\n<!-- /results -->{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()

    results = json.loads((options.out / "results.json").read_text())
    groups, peers, text = tables(results)
    head = heading(results["head"], results["groups"])
    print(f"{head}\n\n{text}")
    (options.out / "results.tsv").write_text(tsv(results["groups"]))
    if groups and shutil.which("gnuplot"):
        draw(groups, peers, options.out)
    if options.write and results["head"]["quick"]:
        sys.exit("the figures of a quick run are not worth keeping: README.md is left as it was")
    if options.write:
        (HERE / "pictures").mkdir(exist_ok=True)
        for name in PICTURES:
            if (options.out / f"{name}.svg").exists():
                shutil.copy(options.out / f"{name}.svg", HERE / "pictures")
        write(head, text)
    wrong = faults(results["groups"])
    print("".join(f"\nNOT MEASURED {fault}" for fault in wrong), file=sys.stderr)
    sys.exit(bool(wrong))


main()
