// What the test of child processes does when it is the child.
#ifndef LIBEVENT_IOCP_REGRESS_CHILD_ROLES_H
#define LIBEVENT_IOCP_REGRESS_CHILD_ROLES_H

namespace real {

// False: this is no child.
bool play_role(int *exit_code);

} // namespace real

#endif
