#include "backend/backend.h"

// In a file of its own, so that a program which defines it takes this one's place in the library.
extern "C" const int iocp_every_base = 0;
