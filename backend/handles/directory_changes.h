// What the kernel has written of a directory's changes, as the program is told of them: in UTF-8, names of a rename in
// pairs.
//
// Nothing that the kernel writes is taken for granted: entries begin at even places only (Wine does not round them up to
// four as Windows does), and one that does not lie in the buffer ends the list, which has then lost something.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLES_DIRECTORY_CHANGES_H
#define LIBEVENT_IOCP_BACKEND_HANDLES_DIRECTORY_CHANGES_H

#include <stddef.h>
#include <stdint.h>

struct evdirchange;

namespace iocp {

struct change_list {
    struct evdirchange *first; // one block of memory with their paths; NULL if there are none
    int count;
    bool lost; // there were more
};

// `old_name`: of a rename whose new name has not come, from an earlier buffer; it is in the list, or freed. If
// `goes_on`, and the last entry is such a name, it is kept there for the next time; otherwise it is REMOVED.
// No memory: what was there is lost.
change_list changes_take(const unsigned char *buffer, size_t bytes, bool goes_on, char **old_name);
void changes_free(change_list *self);

} // namespace iocp

#endif
