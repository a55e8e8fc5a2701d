/* Where our libraries are DLLs: see that they are of one build. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_DLL_H
#define LIBEVENT_IOCP_COMPAT_DLL_H

#include "event2/visibility.h"

/* libevent_core's, and asked for by the DLLs beside it: where somebody has put one of them beside libevent's own core,
 * the loader refuses it, and what it prints is this name. The other way round, libevent's own beside our core, works. */
EVENT2_EXPORT_SYMBOL
int iocp_all_libevent_dlls_must_be_swapped_together(void);

#endif
