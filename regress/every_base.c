/* Takes the place of backend/every_base.cpp in a program: every base is on a port. */
extern const int iocp_every_base;
const int iocp_every_base = 1;
