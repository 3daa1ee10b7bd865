// COCO's run-length codes, decoded, checked and compared: plain C functions,
// which compiled.py calls. None keeps anything, allocates or throws, and every
// loop ends with its input.

#include <algorithm>
#include <cstdint>

#include "export.hpp"

#if defined(__x86_64__) && defined(__GLIBC__)
// The instruction that counts bits, where the processor has it.
#define MMVIS_COUNTS_BITS __attribute__((target_clones("popcnt", "default")))
#else
#define MMVIS_COUNTS_BITS
#endif

namespace {

// Of six 5-bit groups a run has at most.
constexpr int kMostBits = 30;

// Reads runs of one code. What is wrong with it is collected in `wrong`.
struct Reader {
  const uint8_t* at;
  const uint8_t* end;
  uint32_t wrong = 0;

  uint32_t digit(const uint8_t* place) {
    const uint32_t value = static_cast<uint8_t>(*place - 48);
    wrong |= value & ~63u;
    return value;
  }

  // The next number; `at` must be before `end`.
  int32_t next() {
    const uint32_t low = digit(at);
    if (end - at > 1) {
      // One or two groups without a branch, which would often be mistaken.
      const uint32_t two = low >> 5 & 1;
      const uint32_t high = static_cast<uint8_t>(at[1] - 48) & (0u - two);
      if (!(high & ~31u)) {
        at += 1 + two;
        return extended((low & 31) | high << 5, 5 + 5 * two);
      }
    }
    uint32_t value = 0;
    for (int bits = 0; at < end && bits < kMostBits;) {
      const uint32_t group = digit(at++);
      value |= (group & 31) << bits;
      bits += 5;
      if (!(group & 32)) return extended(value, bits);
    }
    wrong |= 64;  // ends within a run, or a run of too many groups
    at = end;
    return 0;
  }

  // The lowest bits as a signed number.
  static int32_t extended(uint32_t value, uint32_t bits) {
    return static_cast<int32_t>(value << (32 - bits)) >> (32 - bits);
  }
};

// Some spans of pixels, begin and end in turn, in order.
struct Mask {
  const int32_t* begin;
  const int32_t* end;

  Mask(const int32_t* bounds, const int64_t* offsets, int64_t k)
      : begin(bounds + 2 * offsets[k]), end(bounds + 2 * offsets[k + 1]) {
    // The last one may be empty.
    if (end > begin && end[-1] == end[-2]) end -= 2;
  }

  int64_t size() const { return end - begin; }
};

// Pixels that two masks share, by going along both.
int64_t shared_by_spans(const Mask& some, const Mask& other) {
  int64_t sum = 0;
  const int32_t *a = some.begin, *b = other.begin;
  while (a < some.end && b < other.end) {
    const int32_t length = std::min(a[1], b[1]) - std::max(a[0], b[0]);
    sum += std::max(length, 0);
    const bool first = a[1] <= b[1];
    a += 2 * first;
    b += 2 * !first;
  }
  return sum;
}

// 64 pixels of a mask, and how many it has before them.
struct Word {
  uint64_t bits;
  uint64_t before;
};

inline __attribute__((always_inline)) void draw(const Mask& mask, Word* words,
                                                int64_t count) {
  const int32_t base = mask.begin[0] >> 6;
  for (int64_t w = 0; w < count; ++w) words[w].bits = 0;
  for (const int32_t* b = mask.begin; b < mask.end; ++b)
    words[(*b >> 6) - base].bits ^= uint64_t{1} << (*b & 63);
  uint64_t before = 0, last = 0;
  for (int64_t w = 0; w < count; ++w) {
    // Each pixel is the parity of the bounds up to it.
    uint64_t bits = words[w].bits;
    for (int step = 1; step < 64; step *= 2) bits ^= bits << step;
    bits ^= last;
    last = 0 - (bits >> 63);
    words[w] = {bits, before};
    before += __builtin_popcountll(bits);
  }
}

inline __attribute__((always_inline)) int64_t before(const Word* words,
                                                     int32_t base,
                                                     int32_t pixel) {
  const Word& word = words[(pixel >> 6) - base];
  const uint64_t lower = (uint64_t{1} << (pixel & 63)) - 1;
  return word.before + __builtin_popcountll(word.bits & lower);
}

// The same as shared_by_spans with a mask that is drawn.
inline __attribute__((always_inline)) int64_t
shared_by_bits(const Mask& some, const Mask& drawn, const Word* words) {
  const int32_t first = drawn.begin[0], last = drawn.end[-1];
  const int32_t base = first >> 6;
  int64_t sum = 0;
  const int32_t* b = some.begin;
  while (b < some.end && b[1] <= first) b += 2;
  for (; b < some.end && b[0] < last; b += 2)
    sum += before(words, base, std::min(b[1], last)) -
           before(words, base, std::max(b[0], first));
  return sum;
}

}  // namespace

// Changes with the arguments of the functions.
MMVIS_EXPORT int64_t mmvis_version() { return 2; }

// Decodes codes, one behind the other in `text`.
//
//   ends    where each ends, ascending
//   pixels  of each mask, less than 2^29
//   bounds  room for (characters + codes) / 2 spans: the first pixel of each and
//           the one behind its last; or null
//   rows    room for the number of spans of each code
//
// Returns the number of spans; -1 if a code is empty, has a character that
// none has, a run that is cut off, too long, negative or, but for the first,
// empty, or does not fill its mask.
MMVIS_EXPORT int64_t mmvis_decode(const uint8_t* text, const int64_t* ends,
                                  const int64_t* pixels, int64_t codes,
                                  int32_t* bounds, int64_t* rows) {
  int64_t spans = 0, start = 0;
  for (int64_t k = 0; k < codes; ++k) {
    Reader reader{text + start, text + ends[k]};
    if (reader.at >= reader.end) return -1;
    const int64_t first = spans;
    // From the fourth run on it is the difference to the run two before. They
    // wrap as those of pycocotools do.
    uint32_t gap = 0, covered = 0;
    int64_t place = 0;
    while (reader.at < reader.end) {
      gap += static_cast<uint32_t>(reader.next());
      const int32_t outside = static_cast<int32_t>(gap);
      reader.wrong |= outside < (spans > first) ? 64 : 0;
      place += outside;
      const int64_t begin = place;
      if (reader.at < reader.end) {
        covered += static_cast<uint32_t>(reader.next());
        const int32_t inside = static_cast<int32_t>(covered);
        reader.wrong |= inside < 1 ? 64 : 0;
        place += inside;
      }
      if (bounds != nullptr) {
        bounds[2 * spans] = static_cast<int32_t>(begin);
        bounds[2 * spans + 1] = static_cast<int32_t>(place);
      }
      if (spans == first) gap = 0;
      ++spans;
    }
    if (reader.wrong || place != pixels[k]) return -1;
    rows[k] = spans - first;
    start = ends[k];
  }
  return spans;
}

// Counts the pixels that pairs of masks share.
//
//   bounds, offsets      masks of one side, as mmvis_decode gives them
//   others, ...          those of the other side
//   pairs                a mask of each side; equal ones of the other side
//                        are neighbours
//   words, room          where masks are drawn: `room` words of 16 bytes
//   shared               room for the answers
MMVIS_EXPORT MMVIS_COUNTS_BITS void mmvis_shared(
    const int32_t* bounds, const int64_t* offsets, const int32_t* others,
    const int64_t* other_offsets, const int64_t* pairs, int64_t count,
    void* room_for_words, int64_t room, int64_t* shared) {
  Word* words = static_cast<Word*>(room_for_words);
  for (int64_t start = 0, stop; start < count; start = stop) {
    const int64_t k = pairs[2 * start + 1];
    const Mask other(others, other_offsets, k);
    int64_t steps = 0;
    for (stop = start; stop < count && pairs[2 * stop + 1] == k; ++stop)
      steps += other.size() + Mask(bounds, offsets, pairs[2 * stop]).size();
    if (other.size() == 0) {
      std::fill(shared + start, shared + stop, 0);
      continue;
    }
    const int64_t size = (other.end[-1] >> 6) - (other.begin[0] >> 6) + 1;
    const bool drawn = size <= room && size <= steps;
    if (drawn) draw(other, words, size);
    for (int64_t p = start; p < stop; ++p) {
      const Mask some(bounds, offsets, pairs[2 * p]);
      shared[p] = drawn ? shared_by_bits(some, other, words)
                        : shared_by_spans(some, other);
    }
  }
}
