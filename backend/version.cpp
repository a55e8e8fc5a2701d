// Which version of ours a program runs with.
#include "event2/iocp.h"

const char *event_iocp_get_version(void)
{
    return LIBEVENT_IOCP_VERSION;
}

unsigned event_iocp_get_version_number(void)
{
    return LIBEVENT_IOCP_VERSION_NUMBER;
}
