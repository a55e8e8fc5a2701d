#include "tools/benchmarks/native/self_test.h"

#include "tools/benchmarks/native/connection.h"
#include "tools/benchmarks/native/exchange.h"
#include "tools/benchmarks/native/histogram.h"

#include <math.h>

#include <algorithm>
#include <vector>

namespace native {

namespace {

void expect(bool good, const char *what)
{
    if (!good)
        fail("self-test: %s", what);
}

// Buckets follow each other without a gap, and none is wider than a part of its values.
void test_buckets()
{
    uint64_t next = 0;
    size_t last = histogram::bucket_of(UINT64_MAX);
    for (size_t bucket = 0; bucket <= last; ++bucket) {
        uint64_t end = histogram::end_of(bucket);
        expect(histogram::bucket_of(next) == bucket && histogram::bucket_of(end) == bucket,
               "a bucket's ends are in it");
        expect(end - next <= next / histogram::divisions, "a bucket is too wide");
        next = end + 1;
    }
    expect(next == 0, "the last bucket ends with the largest value"); // 2^64
}

// Against the values themselves, in order, for values over six powers of ten.
void test_percentiles()
{
    histogram found;
    std::vector<uint64_t> values;
    unsigned state = 1;
    for (int i = 0; i < 20000; ++i) {
        state = state * 1664525 + 1013904223;
        auto value = static_cast<uint64_t>(pow(10, 3 + 6 * (state >> 8) / 16777216.0));
        values.push_back(value);
        found.add(value);
    }
    std::sort(values.begin(), values.end());
    expect(found.count() == values.size() && found.most() == values.back(), "count and most");
    for (double part : {0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        auto exact = static_cast<double>(values[static_cast<size_t>(ceil(part * 20000)) - 1]);
        auto told = static_cast<double>(found.percentile(part));
        expect(told >= exact && told <= exact * (1 + 1.0 / histogram::divisions), "a percentile");
    }
    expect(histogram().percentile(0.5) == 0, "a percentile of nothing");
    histogram few;
    for (uint64_t value : {1, 2, 3})
        few.add(value);
    expect(few.percentile(0.5) == 2 && few.percentile(0.99) == 3, "percentiles of three values");
    histogram one;
    one.add(1000003);
    expect(one.percentile(0.5) == 1000003 && one.percentile(0.999) == 1000003, "percentiles of one value");
}

// The answer, cut in two at each place: what comes of the last part.
taken after_all(exchange &spoken, const std::string &answer, size_t cut)
{
    spoken.next_request();
    taken first = spoken.take(answer.data(), cut);
    if (first == taken::wrong || cut == answer.size())
        return first;
    if (first == taken::all)
        return taken::wrong; // the rest is one byte too many
    return spoken.take(answer.data() + cut, answer.size() - cut);
}

void expect_http(const std::string &answer, taken wanted, const char *what)
{
    auto spoken = make_http(5);
    for (size_t cut = 1; cut <= answer.size(); ++cut)
        expect(after_all(*spoken, answer, cut) == wanted, what);
}

void test_http()
{
    const std::string head = "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 5\r\n\r\n";
    expect_http(head + "aaaaa", taken::all, "a right answer");
    expect_http(head + "aaaa", taken::part, "a short answer");
    expect_http(head + "aaaaaa", taken::wrong, "a long answer");
    expect_http(head + "aaaab", taken::wrong, "a wrong body");
    expect_http("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\naaaaa", taken::wrong, "a wrong status");
    expect_http("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\naaaaaa", taken::wrong, "a wrong length");
    expect_http("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\naaaaa", taken::wrong, "a wrong length");
    expect_http("HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\naaaaa", taken::wrong, "no length");
    expect_http("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\naaaaa", taken::wrong,
                "a last answer");
    expect_http(std::string(20000, 'x'), taken::wrong, "no end of headers");
}

void test_echo()
{
    auto first = make_echo(64, 0), second = make_echo(64, 1);
    std::string sent = first->next_request();
    expect(sent != second->next_request(), "messages of two connections differ");
    expect(first->take(sent.data(), 63) == taken::part && first->take(sent.data() + 63, 1) == taken::all, "an echo");
    expect(first->take(sent.data(), 1) == taken::wrong, "a byte too many");
    first->next_request();
    expect(first->take(sent.data(), 64) == taken::wrong, "the message before");
}

} // namespace

void self_test()
{
    test_buckets();
    test_percentiles();
    test_http();
    test_echo();
}

} // namespace native
