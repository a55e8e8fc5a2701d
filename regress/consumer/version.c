/* Which version of ours a program was compiled with, and runs with: the same, in both forms. */
#include <event2/iocp.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    unsigned parts[3], number;

    if (sscanf(LIBEVENT_IOCP_VERSION, "%u.%u.%u", parts, parts + 1, parts + 2) != 3)
        return 1;
    number = parts[0] << 24 | parts[1] << 16 | parts[2] << 8;
    printf("libevent-iocp %s, %#010x\n", event_iocp_get_version(), event_iocp_get_version_number());
    return strcmp(event_iocp_get_version(), LIBEVENT_IOCP_VERSION) != 0 ||
           event_iocp_get_version_number() != LIBEVENT_IOCP_VERSION_NUMBER ||
           (LIBEVENT_IOCP_VERSION_NUMBER & ~0xff) != number;
}
