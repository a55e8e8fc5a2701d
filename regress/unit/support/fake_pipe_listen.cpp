#include "support/fake_pipe_listen.h"
#include "support/fake_file.h"
#include "support/fake_kernel.h"

#include <stdlib.h>

namespace iocp {
namespace fake {

namespace {

bool is_elsewhere(const wchar_t *path)
{
    return k().pipes_elsewhere.count(path) != 0;
}

pipe_terms terms_of(const wchar_t *path)
{
    for (const auto &entry : k().pipes)
        if (entry.second.path == path)
            return entry.second.terms;
    auto found = k().pipes_elsewhere.find(path);
    return found != k().pipes_elsewhere.end() ? found->second : open_to_all;
}

bool are_kept(const pipe_terms &terms, const sys::pipe_client &by)
{
    return (!by.reads || (terms.to_client && terms.may_read)) && (!by.writes || (terms.to_server && terms.may_write));
}

} // namespace

bool client_is_let_in(HANDLE instance)
{
    pipe_object &pipe = k().pipes.at(instance);
    if (pipe.has_client)
        return false;
    pipe.has_client = true;
    ++k().pipe_clients;
    auto waiting = k().operations.find(pipe.waiting);
    if (waiting != k().operations.end() && !waiting->second.ended)
        end_operation(&waiting->second, status_success, 0, 0);
    return true;
}

int client_opens(const wchar_t *path)
{
    int result = ERROR_FILE_NOT_FOUND;
    for (auto &entry : k().pipes) {
        if (entry.second.path != path)
            continue;
        if (client_is_let_in(entry.first))
            return 0;
        result = ERROR_PIPE_BUSY;
    }
    return is_elsewhere(path) ? 0 : result;
}

size_t clients_let_in()
{
    return k().pipe_clients;
}

size_t instances_of(const wchar_t *path)
{
    size_t count = 0;
    for (const auto &entry : k().pipes)
        count += entry.second.path == path;
    return count;
}

size_t instances_that_listen(const wchar_t *path)
{
    size_t count = 0;
    for (const auto &entry : k().pipes)
        count += entry.second.path == path && !entry.second.has_client;
    return count;
}

void set_quick_pipe_clients(unsigned count)
{
    k().quick_pipe_clients = count;
}

void take_pipe_name(const wchar_t *path, const pipe_terms &terms)
{
    k().pipes_elsewhere[path] = terms;
}

size_t security_copies()
{
    return k().security_copies;
}

bool is_served(HANDLE instance)
{
    auto found = k().pipes.find(instance);
    return found != k().pipes.end() && found->second.has_client && k().files.at(instance).to.port != nullptr;
}

} // namespace fake

namespace sys {

using namespace fake;

int pipe_create(const wchar_t *path, const pipe_kind &kind, HANDLE *created)
{
    int error = enter(call::pipe_create);
    if (error != 0)
        return error;
    size_t instances = instances_of(path);
    if (kind.is_first && (instances != 0 || is_elsewhere(path)))
        return ERROR_ACCESS_DENIED;
    if (!kind.is_first && instances == 0)
        complain("another instance of a pipe whose name was lost");
    if (kind.instances != 0 && instances >= kind.instances)
        return ERROR_PIPE_BUSY;
    *created = open_file(sys::transport::pipe);
    bool is_quick = k().quick_pipe_clients != 0;
    k().quick_pipe_clients -= is_quick;
    k().pipe_clients += is_quick;
    k().pipes[*created] = {path, nullptr, is_quick, {kind.writes, kind.reads, true, true}};
    return 0;
}

start_result pipe_accept(HANDLE instance, OVERLAPPED *overlapped, bool)
{
    int error = enter(call::pipe_accept);
    if (error == 0 && happens(k().odds.shortage))
        error = WSAENOBUFS;
    if (error != 0)
        return {started::failed, error, 0};
    pipe_object &pipe = k().pipes.at(instance);
    if (pipe.has_client)
        return {started::done, 0, 0};
    begin_operation(work::pipe_accept, instance, k().files.at(instance).to, INVALID_SOCKET, overlapped);
    pipe.waiting = overlapped;
    return {started::pending, 0, 0};
}

int security_copy(const void *security, void **copy)
{
    *copy = nullptr;
    if (security == nullptr)
        return 0;
    ++k().security_copies;
    *copy = malloc(1);
    return 0;
}

void security_free(void *copy)
{
    k().security_copies -= copy != nullptr;
    free(copy);
}

int pipe_open(const wchar_t *path, const pipe_client &client, HANDLE *opened)
{
    int error = enter(call::pipe_open);
    pipe_terms terms = terms_of(path);
    if (error == 0 && !are_kept(terms, client))
        error = ERROR_ACCESS_DENIED;
    if (error == 0)
        error = client_opens(path);
    if (error != 0)
        return error;
    *opened = open_file(sys::transport::pipe);
    k().pipe_ends[*opened] = terms.to_client && terms.to_server;
    return 0;
}

bool pipe_is_duplex(HANDLE end)
{
    int error = enter(call::pipe_is_duplex);
    if (!file_is_open(end))
        complain("a pipe that is not open is asked for its directions");
    return error == 0 && k().pipe_ends[end];
}

} // namespace sys
} // namespace iocp
