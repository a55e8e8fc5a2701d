// Counts the instructions that a program under Wine executes, one by one, and tells whose they are.
//
// It takes no counter of the processor and no quiet machine: threads are single-stepped while the program does so many
// units of its work, between two breakpoints of its own (--steps of the programs in tools/benchmarks). Whose an instruction
// is, its address says. Wine's Unix side, which stands for Windows's kernel, is entered and left at full speed.
#include "tools/benchmarks/steps/tracee.h"

#include <stdio.h>
#include <stdlib.h>

namespace {

[[noreturn]] void usage()
{
    printf(
        "usage: steps PROCESS BASE SIZE [PROFILE]\n"
        "BASE and SIZE are those of the program's image in memory. PROFILE is written: addresses, and how often the\n"
        "instruction there was executed.\n");
    exit(2);
}

uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);
    if (*end != '\0' || value == 0)
        usage();
    return value;
}

void write_profile(const char *path, const tracee &traced)
{
    FILE *file = fopen(path, "w");
    if (file == nullptr) {
        perror(path);
        exit(1);
    }
    for (const auto &each : traced.profile())
        fprintf(file, "%llx %llu\n", static_cast<unsigned long long>(each.first),
                static_cast<unsigned long long>(each.second));
    fclose(file);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5)
        usage();
    uint64_t base = number(argv[2]);
    tracee traced(static_cast<pid_t>(number(argv[1])), {base, base + number(argv[3])});
    traced.attach();
    traced.run();
    if (!traced.is_counted()) {
        printf("failed: the program has not come to its third mark\n");
        return 1;
    }
    const counts &found = traced.found();
    printf("program %llu windows %llu entries %llu\n", static_cast<unsigned long long>(found.program),
           static_cast<unsigned long long>(found.windows), static_cast<unsigned long long>(found.entries));
    if (argc == 5)
        write_profile(argv[4], traced);
    return 0;
}
