// This program as a child of itself, on the base of real_base.h.
#ifndef LIBEVENT_IOCP_REGRESS_CHILDREN_H
#define LIBEVENT_IOCP_REGRESS_CHILDREN_H

#include <string>
#include <vector>

#include "real/real_base.h"

#include "event2/iocp.h"

namespace real {

constexpr DWORD limit_ms = deadline_seconds * 1000;

extern char own_path[MAX_PATH];
void find_own_path();

struct ended {
    int count;
    ev_uint32_t code;
};
// Counts, and breaks the loop.
void on_end(struct evprocess *, ev_uint32_t exit_code, void *to);

struct evprocess_iocp_options no_options();
// With these arguments behind its own path.
struct evprocess *spawn(const std::vector<const char *> &words, struct evprocess_iocp_options options, ended *to);
ev_uint32_t exit_code_of(const std::vector<const char *> &words, const struct evprocess_iocp_options &options);
// What it writes to its standard output, to the end; it succeeds.
std::string output_of(const std::vector<const char *> &words, struct evprocess_iocp_options options);

// One read or write of a pipe, waited for. -1: it has ended.
int move(HANDLE pipe, bool reads, void *bytes, DWORD size);
// And closes it.
std::string read_to_end(HANDLE pipe);

} // namespace real

#endif
