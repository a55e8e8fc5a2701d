#include "compat/dll/dll.h"

int iocp_all_libevent_dlls_must_be_swapped_together(void)
{
    return 0;
}
