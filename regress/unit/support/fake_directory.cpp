// The fake kernel's directories. As Windows documents it: changes that find no read are kept with the handle, in a buffer
// as large as that of the first read; when it is too small, or the read's, all of them are lost, and a read ends with
// success, no bytes and a status of its own. As seen of Wine: entries begin at even places only.
#include "support/fake_kernel.h"

namespace iocp {
namespace fake {

namespace {

constexpr nt_status status_notify_cleanup = 0x0000010B; // a success
constexpr nt_status status_notify_enum_dir = 0x0000010C;
constexpr nt_status status_delete_pending = static_cast<nt_status>(0xC0000056);
constexpr size_t most_across_a_network = 64 * 1024;

void append_number(std::string *to, size_t number)
{
    auto value = static_cast<uint32_t>(number);
    to->append(reinterpret_cast<const char *>(&value), sizeof(value));
}

directory_object *directory_of(HANDLE handle)
{
    auto found = k().directories.find(handle);
    return found != k().directories.end() ? &found->second : nullptr;
}

// The one in flight on a handle, unless its end is held back; or NULL.
operation *read_of(HANDLE handle)
{
    for (auto &entry : k().operations)
        if (entry.second.file == handle && entry.second.what == work::directory && !entry.second.ended &&
            !entry.second.held)
            return &entry.second;
    return nullptr;
}

void end_read(operation *ending, nt_status status, const std::string &bytes)
{
    ending->received = bytes;
    end_operation(ending, status, static_cast<DWORD>(bytes.size()), 0);
}

// The read in flight, if any, gets what there is.
void hand_on(HANDLE handle, directory_object *directory)
{
    operation *reading = read_of(handle);
    if (reading == nullptr || (!directory->lost && directory->kept.empty()))
        return;
    std::string bytes = written_changes(directory->kept);
    bool fits = !directory->lost && bytes.size() <= capacity(reading->buffers);
    directory->kept.clear();
    directory->kept_bytes = 0;
    directory->lost = false;
    if (fits)
        end_read(reading, status_success, bytes);
    else
        end_read(reading, status_notify_enum_dir, "");
}

void keep(directory_object *directory, const change &one)
{
    directory->kept.push_back(one);
    directory->kept_bytes += (3 * sizeof(uint32_t) + one.name.size() * sizeof(wchar_t) + 3) / 4 * 4;
    if (directory->lost || directory->kept_bytes > directory->room) {
        directory->kept.clear();
        directory->kept_bytes = 0;
        directory->lost = true;
    }
}

} // namespace

std::string written_changes(const std::vector<change> &changes)
{
    bool rounds_up = happens(500);
    std::string bytes;
    for (size_t i = 0; i < changes.size(); ++i) {
        size_t length = changes[i].name.size() * sizeof(wchar_t);
        size_t whole = 3 * sizeof(uint32_t) + length;
        size_t next = rounds_up ? (whole + 3) / 4 * 4 : whole;
        bool is_last = i + 1 == changes.size();
        append_number(&bytes, is_last ? 0 : next);
        append_number(&bytes, changes[i].action);
        append_number(&bytes, length);
        bytes.append(reinterpret_cast<const char *>(changes[i].name.data()), length);
        bytes.append(is_last ? 0 : next - whole, '\xEE');
    }
    return bytes;
}

void make_directory(const std::wstring &path)
{
    k().directory_names[path] = {false, false};
}

void make_file(const std::wstring &path)
{
    k().directory_names[path] = {true, false};
}

void change_directory(const std::wstring &path, const std::vector<change> &changes)
{
    for (auto &entry : k().directories) {
        if (entry.second.path != path)
            continue;
        for (const change &one : changes) {
            keep(&entry.second, one);
            if (one.action == FILE_ACTION_RENAMED_OLD_NAME && happens(k().renames_split))
                hand_on(entry.first, &entry.second);
        }
        hand_on(entry.first, &entry.second);
    }
}

void split_renames(unsigned permille)
{
    k().renames_split = permille;
}

void delete_directory(const std::wstring &path)
{
    k().directory_names.at(path).deleted = true;
    while (answer_read(path, status_delete_pending, "")) {
    }
}

bool answer_read(const std::wstring &path, nt_status status, const std::string &bytes)
{
    for (auto &entry : k().directories) {
        operation *reading = entry.second.path == path ? read_of(entry.first) : nullptr;
        if (reading == nullptr)
            continue;
        end_read(reading, status, bytes);
        return true;
    }
    return false;
}

bool is_read(const std::wstring &path)
{
    for (const auto &entry : k().directories)
        if (entry.second.path == path && read_of(entry.first) != nullptr)
            return true;
    return false;
}

size_t directories_open()
{
    return k().directories.size();
}

bool bring_about_change(operation *cancelled)
{
    end_read(cancelled, status_success, written_changes({{FILE_ACTION_ADDED, L"late"}}));
    return true;
}

// Cancelled first, it ends as that does, and its name is free at once. Otherwise the read ends with success, and Wine
// says something else.
bool close_directory(HANDLE handle)
{
    if (directory_of(handle) == nullptr)
        return false;
    while (operation *open = read_of(handle)) {
        complain("a directory is closed, and its read was not cancelled");
        end_read(open, status_notify_cleanup, "");
    }
    k().directories.erase(handle);
    k().files.erase(handle);
    return true;
}

} // namespace fake

namespace sys {

using namespace fake;

int directory_open(const wchar_t *path, HANDLE *directory)
{
    int error = enter(call::directory_open);
    if (error != 0)
        return error;
    auto found = k().directory_names.find(path);
    if (found == k().directory_names.end())
        return ERROR_FILE_NOT_FOUND;
    if (found->second.is_file)
        return ERROR_DIRECTORY;
    if (found->second.deleted)
        return ERROR_ACCESS_DENIED;
    *directory = new_handle();
    k().files[*directory] = {};
    k().directories[*directory] = {path, 0, 0, {}, false};
    return 0;
}

start_result directory_read(HANDLE handle, void *buffer, DWORD size, bool, OVERLAPPED *overlapped)
{
    int error = enter(call::directory_read);
    directory_object *directory = directory_of(handle);
    if (directory == nullptr) {
        complain("changes are read of what is no directory, or closed");
        return {started::failed, ERROR_INVALID_HANDLE, 0};
    }
    if (reinterpret_cast<uintptr_t>(buffer) % sizeof(DWORD) != 0)
        return {started::failed, ERROR_NOACCESS, 0};
    if (size > most_across_a_network)
        return {started::failed, ERROR_INVALID_PARAMETER, 0};
    if (error == 0 && happens(k().odds.shortage))
        error = WSAENOBUFS;
    if (error == 0 && k().directory_names.at(directory->path).deleted)
        error = ERROR_ACCESS_DENIED;
    if (error != 0)
        return {started::failed, error, 0};
    if (read_of(handle) != nullptr)
        complain("a directory is read twice at a time");
    operation *begun = begin_operation(work::directory, handle, k().files.at(handle).to, INVALID_SOCKET, overlapped);
    begun->buffers.push_back({size, static_cast<char *>(buffer)});
    directory->room = directory->room == 0 ? size : directory->room;
    hand_on(handle, directory);
    return {started::pending, 0, 0};
}

bool directory_has_lost(const OVERLAPPED *ended)
{
    return static_cast<nt_status>(ended->Internal) == status_notify_enum_dir || ended->InternalHigh == 0;
}

bool directory_is_deleted(HANDLE handle, const OVERLAPPED *)
{
    const directory_object *directory = directory_of(handle);
    return directory != nullptr && k().directory_names.at(directory->path).deleted;
}

} // namespace sys
} // namespace iocp
