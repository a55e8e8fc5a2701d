#ifndef LIBEVENT_IOCP_NATIVE_SELF_TEST_H
#define LIBEVENT_IOCP_NATIVE_SELF_TEST_H

namespace native {

// Tests what the figures and the checks rest on; ends the program where that is wrong.
void self_test();
void self_test_load();

} // namespace native

#endif
