// Where the objects of a json lie: a plain C function, as in run_lengths.cpp.

#include <cstdint>
#include <cstring>

#include "export.hpp"

namespace {

inline bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

inline const char* skip_space(const char* at, const char* end) {
  while (at < end && is_space(*at)) ++at;
  return at;
}

// Behind a string that begins before `at`; null if it does not end.
inline const char* skip_string(const char* at, const char* end) {
  const char* begin = at;
  while (at < end) {
    at = static_cast<const char*>(std::memchr(at, '"', end - at));
    if (at == nullptr) return nullptr;
    const char* slash = at;
    while (slash > begin && slash[-1] == '\\') --slash;
    ++at;
    if ((at - 1 - slash) % 2 == 0) return at;
  }
  return nullptr;
}

// A whole number of at most 18 digits; null if there is none.
inline const char* read_number(const char* at, const char* end,
                               int64_t* value) {
  const bool minus = at < end && *at == '-';
  at += minus;
  const char* begin = at;
  *value = 0;
  for (; at < end && at - begin < 18 && *at >= '0' && *at <= '9'; ++at)
    *value = 10 * *value + (*at - '0');
  if (minus) *value = -*value;
  const bool done = at < end && (*at == ',' || *at == '}' || is_space(*at));
  return at > begin && done ? at : nullptr;
}

// Behind an object that begins at `at`, and the number under `key` in it;
// null if it has none, or is not read so easily.
inline const char* read_object(const char* at, const char* end,
                               const char* key, int64_t length,
                               int64_t* value) {
  bool found = false;
  int64_t depth = 0;
  while (at < end) {
    const char c = *at++;
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return found ? at : nullptr;
    } else if (c == '"') {
      const char* begin = at;
      at = skip_string(at, end);
      if (at == nullptr) return nullptr;
      if (depth > 1) continue;
      const char* next = skip_space(at, end);
      if (next == end || *next != ':') continue;
      if (std::memchr(begin, '\\', at - begin)) return nullptr;
      at = next + 1;
      if (next - begin >= length && at - begin > length &&
          begin[length] == '"' && !std::memcmp(begin, key, length)) {
        at = read_number(skip_space(at, end), end, value);
        if (at == nullptr) return nullptr;
        found = true;
      }
    }
  }
  return nullptr;
}

}  // namespace

// Finds the objects of a list of objects with which a text begins, and the
// whole number that each has under one key.
//
// Only the outer list is checked: if all objects, as they are cut out here,
// are good, so is the list.
//
//   key     without quotation marks
//   found   room for begin, end and number of `room` objects
//   behind  gets where the list ends
//
// Returns the number of objects; -1 if it is no such list, if a number is
// missing or too long, or if a key of an object has a backslash; -2 if there
// are more than `room` objects.
MMVIS_EXPORT int64_t mmvis_objects(const char* text, int64_t size,
                                   const char* key, int64_t length,
                                   int64_t* found, int64_t room,
                                   int64_t* behind) {
  const char* const end = text + size;
  const char* at = skip_space(text, end);
  if (at == end || *at++ != '[') return -1;
  for (int64_t count = 0; count < room; ++count) {
    at = skip_space(at, end);
    if (at == end || *at != '{') return -1;
    found[3 * count] = at - text;
    at = read_object(at, end, key, length, &found[3 * count + 2]);
    if (at == nullptr) return -1;
    found[3 * count + 1] = at - text;
    at = skip_space(at, end);
    if (at == end) return -1;
    if (*at == ']') {
      *behind = at + 1 - text;
      return count + 1;
    }
    if (*at++ != ',') return -1;
  }
  return -2;
}
