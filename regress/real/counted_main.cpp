// In front of a program of which no line may be changed, compiled with -Dmain=counted_main: runs it twice, and says what
// the second time has left. (What Windows opens once and keeps is open after the first.)
#include "accounting.h"

#include <winsock2.h>
#include <windows.h>

#include <stdio.h>

#include <event2/event.h>

extern "C" int counted_main();

int main()
{
    WSADATA data; // for the socket below: the program may need none
    WSAStartup(MAKEWORD(2, 2), &data);
    setvbuf(stdout, nullptr, _IONBF, 0);
    accounting::start();
    int status = counted_main();
    unsigned long before = accounting::open_handles();
    printf("once\n");
    if (status == 0)
        status = counted_main();
    if (status != 0)
        return status;
    libevent_global_shutdown();
    // A count that does not see a socket would prove nothing.
    SOCKET seen = socket(AF_INET, SOCK_STREAM, 0);
    unsigned long during = accounting::open_handles();
    closesocket(seen);
    return accounting::report(before, during, 0);
}
