#include "tools/benchmarks/serve/serve.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

namespace bench {

namespace {

unsigned long long echoed;
long marks;

// One request to Wine's server that stands out in its trace, and one call in that of the program.
void mark()
{
    wchar_t name[32];
    swprintf(name, 32, L"bench-mark-%ld", marks++);
    OpenEventW(SYNCHRONIZE, FALSE, name);
    printf("served %llu\n", echoed);
}

} // namespace

void fail(const char *what, int error)
{
    printf("failed: %s (error %d)\n", what, error);
    ExitProcess(1);
}

sockaddr_in any_port()
{
    sockaddr_in result = {};
    result.sin_family = AF_INET;
    result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return result;
}

void print_method(const char *method)
{
    printf("method %s\n", method);
}

void print_port(const char *kind, SOCKET listener)
{
    sockaddr_in address;
    int length = sizeof(address);
    if (getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        fail("getsockname", WSAGetLastError());
    printf("%s on %d\n", kind, ntohs(address.sin_port));
}

void count_echo(size_t bytes)
{
    echoed += bytes;
}

control obey(char command)
{
    if (command == 'q')
        return control::end;
    if (command != 'm')
        fail("there is no such command", command);
    mark();
    return control::answer;
}

} // namespace bench

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    bench::serving wanted;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--port") == 0)
            wanted.port = true;
        else if (strcmp(argv[i], "--locks") == 0)
            wanted.locks = true;
        else
            bench::fail("usage: <program> [--port] [--locks]", 0);
    }
    WSADATA data;
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0)
        bench::fail("WSAStartup", error);
    bench::serve(wanted);
    WSACleanup();
    printf("complete\n");
    return 0;
}
