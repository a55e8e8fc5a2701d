// A load generator for a server that runs elsewhere on this machine: a Linux program, so that the calls of the server's
// process are the server's alone.
//
// usage: load --protocol echo|http|https --port N --connections N [--size BYTES]
//        load --self-test
// It makes its connections, each with one answer, says "ready", and does what lines on its standard input say:
//   closed-count N     so many requests, each connection's next one when the answer is there
//   closed-ms N        the same for so long
//   open RATE N        so many requests, RATE a second, whether answers come or not
//   end                closes all
// It answers each by a line: what it has seen, times in us, or "complete". Any wrong answer ends it with "failed: ...".
#include "tools/benchmarks/native/load.h"
#include "tools/benchmarks/native/self_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace native {

namespace {

[[noreturn]] void usage()
{
    fail("usage: load --protocol echo|http|https --port N --connections N [--size BYTES] | --self-test");
}

plan parse(int argc, char **argv)
{
    plan wanted;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            usage();
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0)
            wanted.port = atoi(value);
        else if (strcmp(name, "--connections") == 0)
            wanted.connections = atoi(value);
        else if (strcmp(name, "--size") == 0)
            wanted.size = static_cast<size_t>(atol(value));
        else if (strcmp(name, "--protocol") == 0 && strcmp(value, "echo") == 0)
            wanted.spoken = plan::protocol::echo;
        else if (strcmp(name, "--protocol") == 0 && strcmp(value, "http") == 0)
            wanted.spoken = plan::protocol::http;
        else if (strcmp(name, "--protocol") == 0 && strcmp(value, "https") == 0)
            wanted.spoken = plan::protocol::https;
        else
            usage();
    }
    if (wanted.port < 1 || wanted.port > 65535 || wanted.connections < 1 || wanted.size < 1)
        usage();
    return wanted;
}

double us(uint64_t ns)
{
    return static_cast<double>(ns) / 1000;
}

void print(const outcome &found)
{
    const histogram &latency = found.latency;
    printf("answers %llu seconds %.6f p50 %.1f p99 %.1f p99.9 %.1f most %.1f waiting %llu late %.1f\n",
           static_cast<unsigned long long>(found.answers), static_cast<double>(found.ns) * 1e-9,
           us(latency.percentile(0.5)), us(latency.percentile(0.99)), us(latency.percentile(0.999)), us(latency.most()),
           static_cast<unsigned long long>(found.most_waiting), us(found.late.percentile(0.99)));
}

void obey(load *carried, const char *line)
{
    unsigned long long count;
    double rate;
    if (sscanf(line, "closed-count %llu", &count) == 1 && count > 0)
        print(carried->closed_count(count));
    else if (sscanf(line, "closed-ms %llu", &count) == 1)
        print(carried->closed_for(count * 1000000));
    else if (sscanf(line, "open %lf %llu", &rate, &count) == 2 && rate > 0 && count > 0)
        print(carried->open(rate, count));
    else
        fail("not understood: %s", line);
}

int main_of(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); // TLS writes without MSG_NOSIGNAL
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0) {
        self_test();
        self_test_load();
        printf("complete\n");
        return 0;
    }
    {
        load carried(parse(argc, argv));
        printf("ready\n");
        char line[256];
        while (fgets(line, sizeof(line), stdin) != nullptr && strcmp(line, "end\n") != 0)
            obey(&carried, line);
        carried.check_quiet();
    }
    printf("complete\n");
    return 0;
}

} // namespace

} // namespace native

int main(int argc, char **argv)
{
    return native::main_of(argc, argv);
}
