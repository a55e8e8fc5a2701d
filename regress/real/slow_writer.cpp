// A child for regress/real/child_output: says that it has begun, waits until a file is there, and writes numbered lines.
// Arguments: the file, and how many.
#include <stdio.h>
#include <stdlib.h>

#include <windows.h>

namespace {

constexpr int limit_ms = 60 * 1000;
constexpr int step_ms = 10;

bool wait_for(const char *file)
{
    for (int waited = 0; waited < limit_ms; waited += step_ms) {
        if (GetFileAttributesA(file) != INVALID_FILE_ATTRIBUTES)
            return true;
        Sleep(step_ms);
    }
    return false;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    puts("begun");
    fflush(stdout);
    if (!wait_for(argv[1]))
        return 1;
    int count = atoi(argv[2]);
    for (int i = 0; i < count; ++i)
        printf("line %d of what a child writes\n", i);
    return fflush(stdout) == 0 ? 0 : 1;
}
