#include "tools/benchmarks/common/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace bench {

namespace {

constexpr int max_phases = 64;

struct plan {
    long phases[max_phases];
    int phase_count = 0;
    long target_us = 0; // instead of given phases: as many units as take this long
    int repeat = 0;
    long rounds = 1;    // units of each active connection in a phase, at the least
    DWORD hold_ms = 0;  // pauses before and after the row is set up, for its memory to be seen from outside
    bool steps = false; // a breakpoint at each mark, for who counts instructions and came while it was held
};

[[noreturn]] void usage()
{
    printf("usage: <program> --row NAME [--connections N] [--active N] [--size BYTES] [--pieces N] [--port] [--locks]\n"
           "                 --units N[,N...] | --target-ms N --repeat N [--rounds N] | --hold-ms N | --steps "
           "--hold-ms N --units "
           "N[,N...]\n"
           "Runs the row in phases of so many units each, or in phases that take about so long, and longer where each\n"
           "active connection is to do more units than that.\n");
    exit(2);
}

void parse_phases(plan *wanted, const char *text)
{
    char *end;
    do {
        wanted->phases[wanted->phase_count] = strtol(text, &end, 10);
        if (wanted->phases[wanted->phase_count] <= 0 || ++wanted->phase_count == max_phases)
            usage();
        text = end + 1;
    } while (*end == ',');
    if (*end != '\0')
        usage();
}

void parse(int argc, char **argv, scenario *what, plan *wanted)
{
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--port") == 0 || strcmp(argv[i], "--locks") == 0) {
            (strcmp(argv[i], "--port") == 0 ? what->port : what->locks) = true;
            continue;
        }
        if (strcmp(argv[i], "--steps") == 0) {
            wanted->steps = true;
            continue;
        }
        if (i + 1 >= argc)
            usage();
        const char *name = argv[i], *value = argv[++i];
        if (strcmp(name, "--row") == 0)
            what->row = value;
        else if (strcmp(name, "--connections") == 0)
            what->connections = atoi(value);
        else if (strcmp(name, "--active") == 0)
            what->active = atoi(value);
        else if (strcmp(name, "--size") == 0)
            what->size = static_cast<size_t>(atol(value));
        else if (strcmp(name, "--pieces") == 0)
            what->pieces = atoi(value);
        else if (strcmp(name, "--units") == 0)
            parse_phases(wanted, value);
        else if (strcmp(name, "--target-ms") == 0)
            wanted->target_us = 1000 * atol(value);
        else if (strcmp(name, "--repeat") == 0)
            wanted->repeat = atoi(value);
        else if (strcmp(name, "--rounds") == 0)
            wanted->rounds = atol(value);
        else if (strcmp(name, "--hold-ms") == 0)
            wanted->hold_ms = static_cast<DWORD>(atol(value));
        else
            usage();
    }
    bool counted = wanted->phase_count > 0 && wanted->target_us == 0 && wanted->repeat == 0;
    bool stepped = counted && wanted->steps && wanted->hold_ms > 0;
    bool timed = wanted->phase_count == 0 && wanted->target_us > 0 && wanted->repeat > 0;
    bool held = wanted->phase_count == 0 && wanted->hold_ms > 0;
    if (counted + timed + held != 1 || wanted->steps != stepped || wanted->repeat > max_phases || wanted->rounds < 1 ||
        what->connections < 1 || what->active < 1 || what->active > what->connections || what->size < 1 ||
        what->pieces < 1)
        usage();
}

// One request to Wine's server that stands out in its trace: a count begins or ends here.
void mark(const plan &wanted, int number)
{
    if (wanted.steps) {
        DebugBreak(); // without a debugger that ends the program
        return;
    }
    wchar_t name[32];
    swprintf(name, 32, L"bench-mark-%d", number);
    HANDLE none = OpenEventW(SYNCHRONIZE, FALSE, name);
    if (none != nullptr)
        fail("the event of a mark exists", 0);
}

double timed_run(work *done, long units)
{
    double start = seconds_now();
    done->run(units);
    return seconds_now() - start;
}

// The first turns are not like the others: sizes adapt, memory is claimed.
void warm_up(work *done, const scenario &what)
{
    constexpr int runs = 32;
    constexpr double limit = 1; // seconds
    double start = seconds_now();
    for (int i = 0; i < runs && seconds_now() - start < limit; ++i)
        done->run(what.active);
}

void hold(const plan &wanted, const char *state)
{
    if (wanted.hold_ms == 0)
        return;
    printf("%s\n", state);
    Sleep(wanted.hold_ms);
}

// As many as take so long; and so many rounds, unless those would take far too long. A phase begins and ends with all
// connections idle, and in few rounds that would be most of it.
long phase_units(const scenario &what, const plan &wanted, double seconds_each)
{
    constexpr double longest = 4; // seconds
    auto fitting = static_cast<long>(static_cast<double>(wanted.target_us) * 1e-6 / seconds_each);
    auto most = static_cast<long>(longest / seconds_each);
    long settled = wanted.rounds * what.active < most ? wanted.rounds * what.active : most;
    long units = fitting > settled ? fitting : settled;
    return units > what.active ? units : what.active;
}

// Doubles the length of a run until it says what a unit takes.
long calibrate(work *done, const scenario &what, const plan &wanted)
{
    double target = static_cast<double>(wanted.target_us) * 1e-6;
    constexpr long max_units = 1L << 28;
    for (long units = what.active;; units *= 2) {
        double seconds = timed_run(done, units);
        if (seconds >= target / 4 || units >= max_units)
            return phase_units(what, wanted, seconds / static_cast<double>(units));
    }
}

int main_of(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    scenario what;
    plan wanted;
    parse(argc, argv, &what, &wanted);
    WSADATA data;
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0)
        fail("WSAStartup", error);
    const row *found = rows;
    while (found->name != nullptr && strcmp(found->name, what.row) != 0)
        ++found;
    if (found->name == nullptr)
        fail("there is no such row here", 0);
    prepare_message(what);
    hold(wanted, "empty");
    work *done = found->set_up(what);
    printf("method %s\n", method(what));
    warm_up(done, what);
    hold(wanted, "idle");
    if (wanted.target_us > 0) {
        long units = calibrate(done, what, wanted);
        for (; wanted.phase_count < wanted.repeat; ++wanted.phase_count)
            wanted.phases[wanted.phase_count] = units;
    }
    for (int i = 0; i < wanted.phase_count; ++i) {
        mark(wanted, i);
        printf("phase %ld %.9f\n", wanted.phases[i], timed_run(done, wanted.phases[i]));
    }
    mark(wanted, wanted.phase_count);
    done->report();
    printf("complete\n");
    return 0;
}

} // namespace

double seconds_now()
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return static_cast<double>(count.QuadPart) / static_cast<double>(frequency.QuadPart);
}

void fail(const char *what, int error)
{
    printf("failed: %s (error %d)\n", what, error);
    ExitProcess(1);
}

} // namespace bench

int main(int argc, char **argv)
{
    // Without tearing anything down: thousands of sockets take their time, which is not the peer's.
    ExitProcess(static_cast<UINT>(bench::main_of(argc, argv)));
}
