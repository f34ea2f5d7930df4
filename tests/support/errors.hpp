// SPDX-License-Identifier: MIT
// tests/support/errors.hpp - a refusal has a type and a text, and leaves every output as it was.
#pragma once

#include "ulp.hpp"

#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <typeinfo>

namespace support {

inline Verdict mentions(std::string const& text, std::initializer_list<char const*> words) {
  for (char const* word : words)
    if (text.find(word) == std::string::npos) return Verdict("'" + std::string(word) + "' is missing in: " + text);
  return Verdict();
}

/// The call throws exactly this type, and the text holds all these words.
template <class Exception, class Call>
Verdict refuses(Call call, std::initializer_list<char const*> words) {
  try {
    call();
  } catch (std::exception const& error) {
    if (typeid(error) != typeid(Exception)) return Verdict(std::string("another type of error: ") + error.what());
    return mentions(error.what(), words);
  }
  return Verdict("nothing was thrown");
}

}  // namespace support
