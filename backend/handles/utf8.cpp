#include "backend/handles/utf8.h"
#include "compat/libevent.h"

#include <stdint.h>
#include <string.h>

namespace iocp {

static_assert(sizeof(wchar_t) == 2, "that of Windows");

namespace {

constexpr uint32_t first_high = 0xD800;
constexpr uint32_t first_low = 0xDC00;
constexpr uint32_t after_low = 0xE000;
constexpr uint32_t first_of_two_units = 0x10000;
constexpr uint32_t after_last = 0x110000;

bool utf8_is_high(uint32_t unit)
{
    return unit >= first_high && unit < first_low;
}

bool utf8_is_low(uint32_t unit)
{
    return unit >= first_low && unit < after_low;
}

uint32_t utf8_unit_at(const void *units, size_t index)
{
    uint16_t unit;
    memcpy(&unit, static_cast<const unsigned char *>(units) + index * sizeof(unit), sizeof(unit));
    return unit;
}

// How many bytes it takes. Up to four.
size_t utf8_put(uint32_t point, char *into)
{
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < first_of_two_units ? 3 : 4;
    if (into == nullptr)
        return length;
    static constexpr unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; --i, point >>= 6)
        into[i] = static_cast<char>(0x80 | (point & 0x3F));
    into[0] = static_cast<char>(marks[length] | point);
    return length;
}

// The code point that `text` begins with, and how many bytes it has; 0: none, or in a longer form than it needs.
size_t utf8_take(const unsigned char *text, uint32_t *point)
{
    unsigned char first = text[0];
    if (first < 0x80) {
        *point = first;
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    static constexpr uint32_t least[] = {0, 0, 0x80, 0x800, first_of_two_units};
    if (first < 0xC0 || first >= 0xF8)
        return 0;
    *point = first & (0x7Fu >> length);
    for (size_t i = 1; i < length; ++i) { // the 0 at the end is none of these
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        *point = *point << 6 | (text[i] & 0x3Fu);
    }
    return *point >= least[length] && *point < after_last ? length : 0;
}

} // namespace

size_t utf8_from_units(const void *units, size_t count, char *into)
{
    size_t length = 0;
    for (size_t i = 0; i < count; ++i) {
        uint32_t point = utf8_unit_at(units, i);
        if (utf8_is_high(point) && i + 1 < count && utf8_is_low(utf8_unit_at(units, i + 1)))
            point = first_of_two_units + ((point - first_high) << 10) + (utf8_unit_at(units, ++i) - first_low);
        length += utf8_put(point, into != nullptr ? into + length : nullptr);
    }
    return length;
}

size_t utf8_to_units(const char *text, utf8_halves halves, wchar_t *into)
{
    auto *next = reinterpret_cast<const unsigned char *>(text);
    size_t count = 0;
    bool after_high = false;
    while (*next != 0) {
        uint32_t point = 0;
        size_t length = utf8_take(next, &point);
        bool is_half = utf8_is_high(point) || utf8_is_low(point);
        if (length == 0 || (is_half && halves == utf8_halves::refused) || (after_high && utf8_is_low(point)))
            return utf8_invalid; // a pair has a form of its own
        next += length;
        after_high = utf8_is_high(point);
        bool is_pair = point >= first_of_two_units;
        if (into != nullptr && is_pair) {
            into[count] = static_cast<wchar_t>(first_high + ((point - first_of_two_units) >> 10));
            into[count + 1] = static_cast<wchar_t>(first_low + (point & 0x3FF));
        } else if (into != nullptr) {
            into[count] = static_cast<wchar_t>(point);
        }
        count += is_pair ? 2 : 1;
    }
    return count;
}

wchar_t *utf8_widen(const char *text, utf8_halves halves, int *error)
{
    *error = ERROR_NO_UNICODE_TRANSLATION;
    size_t units = utf8_to_units(text, halves, nullptr);
    if (units == utf8_invalid)
        return nullptr;
    auto *wide = static_cast<wchar_t *>(mm_malloc((units + 1) * sizeof(wchar_t)));
    *error = wide != nullptr ? 0 : WSAENOBUFS;
    if (wide != nullptr) {
        utf8_to_units(text, halves, wide);
        wide[units] = L'\0';
    }
    return wide;
}

} // namespace iocp
