// Random scripts of bufferevent operations, each run on a base on select and on one on the completion port: both users
// must see the same. A failing script is printed with its seed, and shrunk on request.
#include "blocks.h"
#include "peer.h"
#include "world.h"

#include <event2/thread.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

using namespace parity;

namespace {

struct settings {
    uint64_t seed = 1;
    uint64_t count = 200;
    uint64_t failures = 1; // how many to tell of before giving up
    bool shrink = false;
    bool print = false; // the traces, also of scripts that agree
    const char *only = nullptr;
    const char *about = nullptr; // NULL: scripts of every kind
    bool threads = true;
};

// What select is compared with.
base_kind compared = base_kind::iocp;

// So many scripts that are to be short of memory, and of which none was, test nothing.
constexpr uint64_t enough_shortages = 20;

void usage()
{
    puts("usage: parity [--seed N] [--count N] [--shrink] [--failures N] [--print] [--only i,j,...]\n"
         "              [--about KIND] [--no-threads] [--select-twice]\n"
         "  --seed N       the first script's seed (1)\n"
         "  --count N      how many scripts, each with the next seed (200)\n"
         "  --shrink       leave out operations of a failing script while it still fails\n"
         "  --failures N   stop after so many failing scripts (1)\n"
         "  --print        print scripts and traces\n"
         "  --only i,j     only these operations of the script, and each sync\n"
         "  --about KIND   only scripts about bufferevents, plain-events, layers, sharing, serving, shortage or pipes\n"
         "  --select-twice compare select with itself: what differs then is chance, and the script's fault\n"
         "  --no-threads   without evthread_use_windows_threads");
}

bool parse(int count, char **arguments, settings *into)
{
    for (int i = 1; i < count; ++i) {
        const char *name = arguments[i];
        const char *value = i + 1 < count ? arguments[i + 1] : nullptr;
        if (strcmp(name, "--shrink") == 0)
            into->shrink = true;
        else if (strcmp(name, "--print") == 0)
            into->print = true;
        else if (strcmp(name, "--select-twice") == 0)
            compared = base_kind::select;
        else if (strcmp(name, "--no-threads") == 0)
            into->threads = false;
        else if (value == nullptr)
            return false;
        else if (strcmp(name, "--seed") == 0)
            into->seed = strtoull(arguments[++i], nullptr, 10);
        else if (strcmp(name, "--count") == 0)
            into->count = strtoull(arguments[++i], nullptr, 10);
        else if (strcmp(name, "--failures") == 0)
            into->failures = strtoull(arguments[++i], nullptr, 10);
        else if (strcmp(name, "--only") == 0)
            into->only = arguments[++i];
        else if (strcmp(name, "--about") == 0)
            into->about = arguments[++i];
        else
            return false;
    }
    return into->about == nullptr || is_flavour(into->about); // else no script would ever be about it
}

void print_trace(const char *name, const trace &of)
{
    printf(" %s\n", name);
    for (const std::string &line : of.lines)
        printf("    %s\n", line.c_str());
}

bool agrees(const script &of, trace *on_select, trace *on_iocp)
{
    *on_select = run_script(of, base_kind::select);
    *on_iocp = run_script(of, compared);
    if (on_select->hung || on_iocp->hung || on_select->lines != on_iocp->lines)
        return false;
    for (const std::string &line : on_select->lines)
        if (line.find("WRONG") != std::string::npos)
            return false;
    return true;
}

// A script that hangs takes its time at each step: after so long it is as short as it gets.
constexpr ULONGLONG longest_shrink_ms = 180000;

script shrunk(script failing)
{
    trace on_select, on_iocp;
    ULONGLONG end = GetTickCount64() + longest_shrink_ms;
    // From the end, so that what merely follows the failure goes first; twice, since one removal may permit another.
    for (int round = 0; round < 2; ++round) {
        for (size_t i = failing.operations.size(); i-- > 0 && GetTickCount64() < end;) {
            script less = failing;
            less.operations.erase(less.operations.begin() + static_cast<ptrdiff_t>(i));
            if (!agrees(less, &on_select, &on_iocp))
                failing = less;
        }
    }
    return failing;
}

void leave_only(script *of, const char *only)
{
    std::vector<operation> kept;
    for (const char *at = only; at != nullptr && *at != '\0';) {
        size_t index = strtoul(at, nullptr, 10);
        if (index < of->operations.size())
            kept.push_back(of->operations[index]);
        at = strchr(at, ',');
        if (at != nullptr)
            ++at;
    }
    of->operations = kept;
}

// Two traces side by side as far as they agree, then both.
void report(const script &of, const trace &on_select, const trace &on_iocp)
{
    printf("%s", describe(of).c_str());
    size_t same = 0;
    while (same < on_select.lines.size() && same < on_iocp.lines.size() && on_select.lines[same] == on_iocp.lines[same])
        printf("    %s\n", on_select.lines[same++].c_str());
    for (size_t i = same; i < on_select.lines.size(); ++i)
        printf("  < %s\n", on_select.lines[i].c_str());
    for (size_t i = same; i < on_iocp.lines.size(); ++i)
        printf("  > %s\n", on_iocp.lines[i].c_str());
}

bool run_one(script next, const settings &how)
{
    uint64_t seed = next.seed;
    if (how.only != nullptr)
        leave_only(&next, how.only);
    if (how.print) {
        printf("seed %llu\n%s", static_cast<unsigned long long>(seed), describe(next).c_str());
        fflush(stdout); // it may not end
    }
    trace on_select, on_iocp;
    bool right = agrees(next, &on_select, &on_iocp);
    if (right && how.print)
        print_trace("both", on_select);
    if (right)
        return true;
    printf("FAILED: seed %llu (< select, > iocp)\n", static_cast<unsigned long long>(seed));
    report(next, on_select, on_iocp);
    fflush(stdout); // nor may a shorter one
    if (how.shrink) {
        next = shrunk(next);
        if (agrees(next, &on_select, &on_iocp)) {
            puts("it does not always fail");
        } else {
            puts("shrunk:");
            report(next, on_select, on_iocp);
        }
    }
    fflush(stdout);
    return false;
}

// False: none of many scripts met with what it is about.
bool any_denied(uint64_t shortages)
{
    bool as_asked = shortages < enough_shortages || compared != base_kind::iocp || denied_blocks() != 0;
    printf("%llu scripts were to be short of memory; %ld allocations failed%s\n",
           static_cast<unsigned long long>(shortages), denied_blocks(), as_asked ? "" : ": FAILED");
    return as_asked;
}

} // namespace

int main(int count, char **arguments)
{
    settings how;
    if (!parse(count, arguments, &how)) {
        usage();
        return 2;
    }
    count_blocks();
    if (how.threads)
        evthread_use_windows_threads();
    if (!net_start()) {
        puts("no loopback network");
        return 2;
    }
    if (!has_ipv6())
        puts("no IPv6 on the loopback: every connection is of IPv4");
    uint64_t failed = 0, run = 0, shortages = 0;
    ULONGLONG begun = GetTickCount64();
    for (uint64_t seed = how.seed; run < how.count && failed < how.failures; ++seed) {
        script next = make_script(seed);
        if (how.about != nullptr && strcmp(how.about, name_of(next.about)) != 0)
            continue;
        next.locks = next.locks && how.threads;
        ++run;
        shortages += next.about == flavour::shortage;
        failed += !run_one(next, how);
    }
    printf("%llu scripts from seed %llu on, %llu failed, %llu ms\n", static_cast<unsigned long long>(run),
           static_cast<unsigned long long>(how.seed), static_cast<unsigned long long>(failed),
           static_cast<unsigned long long>(GetTickCount64() - begun));
    return !any_denied(shortages) || failed != 0;
}
