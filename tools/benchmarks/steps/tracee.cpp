#include "tools/benchmarks/steps/tracee.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <string>

namespace {

constexpr size_t line_length = 4096;

constexpr unsigned char ret = 0xc3;
constexpr unsigned char breakpoint = 0xcc;

// In a system call's stub, from the `ret` after the call into Wine to that after the `syscall`, which Windows would
// have executed: Wine returns to the one or the other, by its version.
constexpr uint64_t between_returns = 11;

[[noreturn]] void fail(const char *what)
{
    printf("failed: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t word_at(pid_t thread, uint64_t address)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, thread, address, 0);
    if (errno != 0)
        fail("a word of the process");
    return static_cast<uint64_t>(word);
}

user_regs_struct registers_of(pid_t thread)
{
    user_regs_struct found;
    if (ptrace(PTRACE_GETREGS, thread, 0, &found) != 0)
        fail("no registers");
    return found;
}

std::string path_of(pid_t process, const char *what)
{
    return "/proc/" + std::to_string(process) + "/" + what;
}

bool is_library(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && (strcasecmp(name + length - 4, ".dll") == 0 || strcasecmp(name + length - 4, ".exe") == 0);
}

} // namespace

tracee::tracee(pid_t of, range program) : process(of), image(program)
{
}

void tracee::attach()
{
    DIR *folder = opendir(path_of(process, "task").c_str());
    if (folder == nullptr)
        fail("no such process");
    while (dirent *entry = readdir(folder)) {
        pid_t found = atoi(entry->d_name);
        if (found <= 0)
            continue;
        if (ptrace(PTRACE_SEIZE, found, 0, PTRACE_O_TRACECLONE) != 0)
            fail("a thread cannot be traced");
        threads[found];
    }
    closedir(folder);
}

// Wine's own libraries are mapped from their files. What else is executed and not the program is its Unix side.
void tracee::read_libraries()
{
    FILE *file = fopen(path_of(process, "maps").c_str(), "r");
    if (file == nullptr)
        fail("no memory map");
    libraries.clear();
    char line[line_length];
    while (fgets(line, sizeof(line), file) != nullptr) {
        unsigned long begin, end;
        char access[8], name[line_length] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %4095[^\n]", &begin, &end, access, name) >= 3 &&
            strchr(access, 'x') != nullptr && is_library(name))
            libraries.push_back({begin, end});
    }
    fclose(file);
}

owner tracee::owner_of(uint64_t address) const
{
    if (address >= image.begin && address < image.end)
        return owner::program;
    for (const range &library : libraries) {
        if (address >= library.begin && address < library.end)
            return owner::windows;
    }
    return owner::kernel;
}

void tracee::resume(pid_t thread, bool step, int signal)
{
    if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, thread, 0, signal) != 0 && errno != ESRCH)
        fail("a thread does not go on");
}

// A breakpoint in the place of a `ret`; false if there is none.
bool tracee::stop_at_return(pid_t thread, uint64_t address)
{
    if (returns.count(address) != 0)
        return true;
    uint64_t word = word_at(thread, address);
    if ((word & 0xff) != ret)
        return false;
    if (ptrace(PTRACE_POKEDATA, thread, address, (word & ~0xffull) | breakpoint) != 0)
        fail("no breakpoint");
    returns.insert(address);
    return true;
}

// The Unix side was called: the thread runs freely to where that returns. A system call's stub has nothing left to do
// there but to return itself, so that the breakpoint can stay for other threads, and is done for it by return_from(). Of
// other functions of Wine's Unix side (__wine_unix_call) each instruction is gone through.
void tracee::run_to_return(pid_t thread)
{
    uint64_t back = word_at(thread, registers_of(thread).rsp);
    bool known = stop_at_return(thread, back);
    if (known)
        stop_at_return(thread, back - between_returns);
    resume(thread, !known, 0);
}

// A thread at a breakpoint in the place of a `ret` does that; to where.
uint64_t tracee::return_from(pid_t thread)
{
    user_regs_struct registers = registers_of(thread);
    registers.rip = word_at(thread, registers.rsp);
    registers.rsp += sizeof(uint64_t);
    if (ptrace(PTRACE_SETREGS, thread, 0, &registers) != 0)
        fail("a thread cannot return");
    return registers.rip;
}

void tracee::stepped(pid_t thread, uint64_t address)
{
    bool was_outside = threads[thread].outside;
    owner whose = owner_of(address);
    threads[thread].outside = whose == owner::kernel;
    if (whose == owner::kernel && !was_outside) {
        ++all.entries;
        run_to_return(thread);
        return;
    }
    if (whose != owner::kernel) {
        ++(whose == owner::program ? all.program : all.windows);
        ++steps_at[address];
    }
    resume(thread, true, 0);
}

// The program's own breakpoint. All other threads are made to stop, to be stepped from there on.
void tracee::marked(pid_t thread)
{
    ++marks;
    if (marks == first_mark + 1) {
        read_libraries();
        for (const auto &other : threads) {
            if (other.first != thread)
                ptrace(PTRACE_INTERRUPT, other.first, 0, 0);
        }
    }
    threads[thread].outside = false;
    resume(thread, is_counting(), 0);
}

// Was it a breakpoint that stopped the thread, and not a step that led to where one would have? (A look at the reason is
// as dear as the step itself.)
bool tracee::is_breakpoint(pid_t thread, uint64_t address) const
{
    if (after_mark != 0 && address != after_mark && returns.count(address - 1) == 0)
        return false;
    siginfo_t why;
    if (ptrace(PTRACE_GETSIGINFO, thread, 0, &why) != 0)
        fail("no reason for a stop");
    return why.si_code == SI_KERNEL;
}

void tracee::trapped(pid_t thread)
{
    errno = 0;
    auto address = static_cast<uint64_t>(ptrace(PTRACE_PEEKUSER, thread, offsetof(user, regs.rip), 0));
    if (errno != 0)
        fail("no register");
    if (is_breakpoint(thread, address)) {
        if (returns.count(address - 1) == 0) {
            after_mark = address;
            marked(thread);
            return;
        }
        address = return_from(thread);
    }
    if (is_counting())
        stepped(thread, address);
    else
        resume(thread, false, 0);
}

void tracee::stopped(pid_t thread, int status)
{
    int signal = WSTOPSIG(status);
    bool is_event = (status >> 16) != 0; // a thread that is new, or was made to stop
    if (signal == SIGTRAP && !is_event)
        trapped(thread);
    else
        resume(thread, is_counting(), is_event ? 0 : signal);
}

void tracee::run()
{
    int status;
    pid_t thread;
    while ((thread = waitpid(-1, &status, __WALL)) > 0) {
        if (WIFSTOPPED(status))
            stopped(thread, status);
        else
            threads.erase(thread);
    }
}
