// CMocka, with the headers it wants first.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_CHECK_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>

extern "C" {
#include "cmocka.h"
}

#endif
