// Bufferevents over files of the fake kernel, on one base, and what they tell.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_HANDLE_USERS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_HANDLE_USERS_H

#include "support/check.h"

#include <string>

#include "support/bases.h"
#include "support/fake_file.h"
#include "support/fake_kernel.h"

#include "event2/iocp.h"

namespace iocp {
namespace handle_users {

constexpr sys::transport kinds[] = {sys::transport::pipe, sys::transport::messages, sys::transport::device};

extern struct event_base *base;

struct user {
    HANDLE file;
    struct bufferevent *bev;
    std::string heard;
    short what;
    int error;
};

int set_up(void **);
// Complains of what is left.
int tear_down(void **);
void open_user(user *self, sys::transport by, int options = BEV_OPT_CLOSE_ON_FREE);
// Of a file, or a socket, that is there.
void use_file(user *self, HANDLE file, int options);
void use_bufferevent(user *self, struct bufferevent *bev);
// The file is closed then.
void free_user(user *self);
void say(user *self, const std::string &bytes);
// Of a millisecond each.
void turns(int count);

} // namespace handle_users
} // namespace iocp

#endif
