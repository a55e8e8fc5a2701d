#include "backend/handles/directory_changes.h"
#include "backend/handles/utf8.h"
#include "compat/libevent.h"

#include "event2/iocp_directory.h"

#include <string.h>

namespace iocp {

namespace {

// FILE_NOTIFY_INFORMATION: three of these, and the name.
struct change_head {
    uint32_t next; // how far behind this one; 0: the last
    uint32_t action;
    uint32_t name_bytes;
};

struct change_reader {
    const unsigned char *buffer;
    size_t bytes;
    size_t at;
    bool any_left;
    bool broken;
};

struct change_entry {
    uint32_t action;
    const unsigned char *name;
    size_t units;
};

change_reader change_read_from(const unsigned char *buffer, size_t bytes)
{
    return {buffer, bytes, 0, bytes != 0, false};
}

bool change_read(change_reader *self, change_entry *entry)
{
    if (!self->any_left)
        return false;
    self->any_left = false;
    size_t left = self->bytes - self->at;
    change_head head;
    self->broken = true;
    if (left < sizeof(head))
        return false;
    memcpy(&head, self->buffer + self->at, sizeof(head));
    size_t length = sizeof(head) + head.name_bytes;
    if (head.name_bytes > left - sizeof(head) || head.name_bytes % sizeof(wchar_t) != 0)
        return false;
    *entry = {head.action, self->buffer + self->at + sizeof(head), head.name_bytes / sizeof(wchar_t)};
    self->broken = head.next != 0 && (head.next < length || head.next > left || head.next % sizeof(wchar_t) != 0);
    self->any_left = head.next != 0 && !self->broken;
    self->at += head.next;
    return true;
}

enum evdirchange_action change_action(uint32_t kernels)
{
    switch (kernels) {
    case FILE_ACTION_ADDED:
        return EVDIRCHANGE_ADDED;
    case FILE_ACTION_REMOVED:
        return EVDIRCHANGE_REMOVED;
    case FILE_ACTION_RENAMED_OLD_NAME:
        return EVDIRCHANGE_RENAMED_OLD;
    case FILE_ACTION_RENAMED_NEW_NAME:
        return EVDIRCHANGE_RENAMED_NEW;
    default: // whatever else may come, the file is worth a look
        return EVDIRCHANGE_MODIFIED;
    }
}

// Old and new names that have no partner become what they are to whoever looks at the directory.
void changes_pair(change_list *self)
{
    for (int i = 0; i < self->count; ++i) {
        enum evdirchange_action action = self->first[i].action;
        bool is_pair = action == EVDIRCHANGE_RENAMED_OLD && i + 1 < self->count &&
                       self->first[i + 1].action == EVDIRCHANGE_RENAMED_NEW;
        if (is_pair)
            ++i;
        else if (action == EVDIRCHANGE_RENAMED_OLD)
            self->first[i].action = EVDIRCHANGE_REMOVED;
        else if (action == EVDIRCHANGE_RENAMED_NEW)
            self->first[i].action = EVDIRCHANGE_ADDED;
    }
}

void changes_add(change_list *self, enum evdirchange_action action, const char *path)
{
    self->first[self->count].action = action;
    self->first[self->count].path = path;
    ++self->count;
}

// Room for so many, with paths of so many bytes in all. False: no memory.
bool changes_reserve(change_list *self, size_t count, size_t text)
{
    if (count == 0)
        return true;
    self->first = static_cast<struct evdirchange *>(mm_malloc(count * sizeof(*self->first) + text));
    return self->first != nullptr;
}

// The last of them waits for its partner. Without memory for that it does not.
void changes_keep_old_name(change_list *self, char **old_name)
{
    if (self->count == 0 || self->first[self->count - 1].action != EVDIRCHANGE_RENAMED_OLD)
        return;
    *old_name = mm_strdup(self->first[self->count - 1].path);
    if (*old_name != nullptr && --self->count == 0)
        changes_free(self);
}

} // namespace

change_list changes_take(const unsigned char *buffer, size_t bytes, bool goes_on, char **old_name)
{
    change_list list = {nullptr, 0, false};
    change_entry entry;
    size_t count = *old_name != nullptr ? 1 : 0;
    size_t text = *old_name != nullptr ? strlen(*old_name) + 1 : 0;
    change_reader counted = change_read_from(buffer, bytes);
    for (; change_read(&counted, &entry); ++count)
        text += utf8_from_units(entry.name, entry.units, nullptr) + 1;
    list.lost = counted.broken;
    if (!changes_reserve(&list, count, text)) {
        list.lost = true;
        free_if_any(*old_name);
        *old_name = nullptr;
        return list;
    }
    char *next = reinterpret_cast<char *>(list.first + count);
    if (*old_name != nullptr) {
        changes_add(&list, EVDIRCHANGE_RENAMED_OLD, strcpy(next, *old_name));
        next += strlen(*old_name) + 1;
        mm_free(*old_name);
        *old_name = nullptr;
    }
    for (change_reader told = change_read_from(buffer, bytes); change_read(&told, &entry);) {
        changes_add(&list, change_action(entry.action), next);
        next += utf8_from_units(entry.name, entry.units, next);
        *next++ = '\0';
    }
    if (goes_on && !list.lost)
        changes_keep_old_name(&list, old_name);
    changes_pair(&list);
    return list;
}

void changes_free(change_list *self)
{
    free_if_any(self->first);
    self->first = nullptr;
    self->count = 0;
}

} // namespace iocp
