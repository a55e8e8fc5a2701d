// A process under Wine whose threads are single-stepped.
#ifndef LIBEVENT_IOCP_STEPS_TRACEE_H
#define LIBEVENT_IOCP_STEPS_TRACEE_H

#include <stdint.h>
#include <sys/types.h>

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

// Whose an instruction is.
enum class owner {
    program, // the program's file: the benchmark, and the library in it
    windows, // Wine's DLLs, for which Windows has its own
    kernel,  // Wine's Unix side: what stands for Windows's kernel
};

struct range {
    uint64_t begin;
    uint64_t end;
};

struct counts {
    uint64_t program = 0;
    uint64_t windows = 0;
    uint64_t entries = 0; // of Wine's Unix side
};

class tracee {
public:
    // The process runs, and its program's image lies in `image`.
    tracee(pid_t process, range image);
    // Attaches to each thread, those to come included.
    void attach();
    // Goes on until the process ends. Counted is what happens between the second and the third breakpoint that the program
    // itself runs into; before that it does the same freely, to warm up.
    void run();

    bool is_counted() const { return marks > last_mark; }
    const counts &found() const { return all; }
    // How often the instruction at each address was executed.
    const std::unordered_map<uint64_t, uint64_t> &profile() const { return steps_at; }

private:
    static constexpr int first_mark = 1;
    static constexpr int last_mark = 2;

    struct thread {
        bool outside = true; // in Wine's Unix side, or not seen yet
    };

    bool is_counting() const { return marks > first_mark && marks <= last_mark; }
    owner owner_of(uint64_t address) const;
    void read_libraries();
    void stopped(pid_t thread, int status);
    void trapped(pid_t thread);
    bool is_breakpoint(pid_t thread, uint64_t address) const;
    void stepped(pid_t thread, uint64_t address);
    void marked(pid_t thread);
    void run_to_return(pid_t thread);
    bool stop_at_return(pid_t thread, uint64_t address);
    uint64_t return_from(pid_t thread);
    void resume(pid_t thread, bool step, int signal);

    pid_t process;
    range image;
    std::vector<range> libraries;
    std::map<pid_t, thread> threads;
    std::set<uint64_t> returns; // where the Unix side returns to, each a breakpoint of ours in the place of a `ret`
    std::unordered_map<uint64_t, uint64_t> steps_at;
    counts all;
    int marks = 0;
    uint64_t after_mark = 0; // where the program goes on
};

#endif
