#!/usr/bin/env python3
"""Checks the shape of the source tree: short files, functions and lines, no include cycles, no includes of
what lies above, a file's own functions named after it, one kind of lock for what bases share, and calls
into the kernel in compat/sys*.cpp alone, so that tests can put a fake kernel in their place."""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 70
COLUMNS = 125  # of C and C++: clang-format keeps code within 120, and leaves comments alone
SKIPPED = {"build", ".git", "install"}
SOURCES = {".c", ".cpp", ".h"}
# From below to above, by the first pattern that fits: nobody includes what lies above. What is declared of each piece of
# state lies below backend.h, which composes them; who works with more than one piece lies above it.
LAYERS = (
    ("the kernel's door, and libevent's headers", r"(compat|bufferevent/include)/.*"),
    ("the port and its operations", r"backend/(completion|operation_counts|port\w*|afd_device)\.(h|cpp)"),
    ("what a base keeps", r"(backend/(fd_table|source|loop|find_pace|look_pace|first_look|send_round|together_pace|poll_socket|socket_record|socket_lingering|received_bytes"
                          r"|socket_registry|listening_socket|listening_round|handles/base_directories|handles/waiting_handles|embedding|base_signals)|bufferevent/(receive_budget|send_growth|base_streams))\.h"),
    ("a base", r"backend/backend\.h"),
    ("its loop and its sockets", r"backend/.*"),
    ("bufferevents and listeners", r"bufferevent/.*"),
)
# Folders whose code runs in a user's program.
LIBRARY = ("backend", "bufferevent", "compat")
# Whatever bases share is guarded by slim locks, which unit-real_locks counts; a base by libevent's, by its own macros.
OTHER_LOCKS = re.compile(r"\b(CRITICAL_SECTION|InitOnceExecuteOnce|TryAcquireSRWLock\w+|CreateMutex\w*|EVTHREAD_ALLOC_LOCK"
                         r"|std::(?:mutex|shared_mutex|recursive_mutex|call_once)|pthread_\w+)\b")
# Calls of the kernel that are words of many languages: as they are called without a name space before them.
PLAIN_CALLS = re.compile(r"(?<![\w:.>~])(send|sendto|recv|recvfrom|accept|connect|bind|listen|select|socket|shutdown|Sleep"
                         r"|CreateThread|_beginthreadex|SetEvent|ResetEvent|CreateEvent[AW]?)\s*\(")
# The program's own call, handed on (see the file).
HANDED_ON = {("bufferevent/closing.cpp", "shutdown")}
# In compat/ the namespace sys is the prefix.
NAMED_AS_FILES = ("backend", "bufferevent")
# Any WSA or Nt function is one, but for the two that only read and write a variable of the thread.
KERNEL_CALLS = re.compile(
    r"\b(WSA(?!(?:Get|Set)LastError)[A-Z][a-z]\w*|Nt[A-Z][a-z]\w*|CreateIoCompletionPort|CancelIo(?:Ex)?|closesocket"
    r"|PostQueuedCompletionStatus|GetQueuedCompletionStatus(?:Ex)?|GetOverlappedResult|CloseHandle"
    r"|DeviceIoControl|CreateFile[AW]?|DuplicateHandle|getsockopt|setsockopt|ioctlsocket|AcceptEx"
    r"|ConnectEx|DisconnectEx|TransmitFile|SetFileCompletionNotificationModes"
    r"|ReadProcessMemory|ReadFile|WriteFile|GetFileType|PeekNamedPipe|[GS]etNamedPipe\w+|GetNamedPipeInfo|GetConsoleMode|[GS]etCommTimeouts"
    r"|CreateNamedPipe[AW]?|ConnectNamedPipe|DisconnectNamedPipe|WaitNamedPipe[AW]?|(?:Get|Set)NamedPipe\w+"
    r"|ReadDirectoryChanges(?:Ex)?W|GetFullPathName[AW]|GetFileInformationByHandle(?:Ex)?"
    r"|CreateWaitableTimer\w*|SetWaitableTimer\w*|WaitFor\w+Objects?(?:Ex)?"
    r"|RegisterWaitFor\w+|UnregisterWait(?:Ex)?|CreateProcess[AW]?|TerminateProcess|ResumeThread|GetExitCodeProcess"
    r"|GetEnvironmentVariable[AW]?|SetHandleInformation|SignalObjectAndWait|\w+ProcThreadAttribute\w*)\s*\(")


def tree_files():
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if not SKIPPED & set(parts) and path.is_file() and not path.is_symlink():
            yield path


def language(path):
    if path.suffix in SOURCES:
        return "c"
    if path.suffix == ".cmake" or path.name == "CMakeLists.txt":
        return "cmake"
    if path.suffix in (".py", ".sh"):
        return path.suffix[1:]
    # Scripts without a suffix name their language in the first line.
    with path.open("rb") as file:
        first = file.readline(80)
    if first.startswith(b"#!"):
        return "py" if b"python" in first else "sh"
    return None


def strip_c(text):
    """Blanks comments and literals and keeps every line end, so that line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
    return pattern.sub(lambda match: " " + "\n" * match.group().count("\n"), text)


def c_functions(text):
    """Yields (name, first line, lines): a body is a brace after a parenthesis, outside others."""
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.)*", lambda m: "\n" * m.group().count("\n"),
                  strip_c(text), flags=re.MULTILINE | re.DOTALL)
    transparent, depth, start, head_from, line = 0, 0, None, 0, 1
    for index, char in enumerate(text):
        line += char == "\n"
        if char == "{":
            head = text[head_from:index]
            if start is None and depth == transparent:
                if ")" in head and "=" not in head.split("(")[0]:
                    name = re.search(r"([\w:~]+|operator[^(]*)\s*\(", head)
                    start = line - head.lstrip().count("\n")
                    found = name.group(1) if name else "?"
                elif re.search(r"\b(namespace|class|struct|union|extern)\b", head):
                    transparent += 1
            depth += 1
        elif char == "}":
            depth -= 1
            if start is not None and depth == transparent:
                yield found, start, line - start + 1
                start = None
            transparent = min(transparent, depth)
        if char in "{};" and start is None:
            head_from = index + 1


def py_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def block_functions(text, begin, end):
    """Functions that begin and end with lines of a known form: shell and CMake."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(begin, line)
        if match:
            start, name = number, match.group(1)
        elif start is not None and re.match(end, line):
            yield name, start, number - start + 1
            start = None


FUNCTIONS = {
    "c": c_functions,
    "py": py_functions,
    "sh": lambda text: block_functions(text, r"(\w+)\(\) [{(]$", r"[})]"),
    "cmake": lambda text: block_functions(text, r"(?:function|macro)\((\w+)", r"end(?:function|macro)"),
}


def check_sizes(path, text, complain):
    lines = text.count("\n")
    if lines > FILE_LINES:
        complain(path, lines, f"{lines} lines, more than {FILE_LINES}")
    for name, line, length in FUNCTIONS[language(path)](text):
        if length > FUNCTION_LINES:
            complain(path, line, f"{name} has {length} lines, more than {FUNCTION_LINES}")


def check_columns(path, text, complain):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS:
            complain(path, number, f"{len(line)} columns, more than {COLUMNS}")


def check_kernel_calls(path, text, complain):
    relative = path.relative_to(ROOT)
    if relative.parts[0] not in LIBRARY or re.fullmatch(r"compat/sys\w*\.(cpp|h)", str(relative)):
        return
    for number, line in enumerate(strip_c(text).splitlines(), 1):
        for match in [*KERNEL_CALLS.finditer(line), *PLAIN_CALLS.finditer(line)]:
            if (relative.as_posix(), match.group(1)) not in HANDED_ON:
                complain(path, number, f"{match.group(1)} is called outside compat/sys*.cpp")


def check_locks(path, text, complain):
    if path.relative_to(ROOT).parts[0] not in LIBRARY:
        return
    for number, line in enumerate(strip_c(text).splitlines(), 1):
        for match in OTHER_LOCKS.finditer(line):
            complain(path, number, f"{match.group(1)}: what bases share has slim locks (SRWLOCK), which are counted")


def anonymous_namespaces(text):
    """Yields (line, body) of each, as clang-format writes them."""
    for match in re.finditer(r"^namespace \{$\n(.*?)^\} // namespace$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start(1)), match.group(1)


def check_names(path, text, complain):
    """A function that no other file knows begins with a word of its file's name, or most of one: linger_... in
    socket_lingering.cpp."""
    if path.suffix != ".cpp" or path.relative_to(ROOT).parts[0] not in NAMED_AS_FILES:
        return
    words = path.stem.split("_")
    for first_line, body in anonymous_namespaces(text):
        for name, line, _ in c_functions(body):
            own = name.strip("~").split("_")[0]
            is_member = "::" in name or re.search(rf"^(?:struct|class) {name.strip('~')}\b", body, re.MULTILINE)
            if not is_member and not any(own == word or (len(own) >= 4 and word.startswith(own)) for word in words):
                complain(path, first_line + line, f"{name} does not begin with a word of its file's name")


def includes_of(path, text):
    """Our own files among a file's quoted includes, which name them from the root or from beside."""
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE):
        for folder in (path.parent, ROOT, ROOT / "bufferevent/include", ROOT / "regress/unit"):
            target = (folder / name).resolve()
            if target.is_file():
                yield target
                break


def layer_of(path):
    """Of a file of the library, else None."""
    name = path.relative_to(ROOT).as_posix()
    for number, (_, pattern) in enumerate(LAYERS):
        if re.fullmatch(pattern, name):
            return number
    return None


def check_layers(path, includes, complain):
    own = layer_of(path)
    for target in includes if own is not None else ():
        above = layer_of(target)
        if above is not None and above > own:
            complain(path, 1, f"lies in \"{LAYERS[own][0]}\" and includes {target.relative_to(ROOT)}, "
                              f"of \"{LAYERS[above][0]}\" above it")


def find_cycle(graph):
    """One include cycle as a list of files, or None."""
    finished, trail = set(), []

    def visit(node):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in finished:
            return None
        trail.append(node)
        for target in graph.get(node, ()):
            cycle = visit(target)
            if cycle:
                return cycle
        finished.add(trail.pop())
        return None

    for node in graph:
        cycle = visit(node)
        if cycle:
            return cycle
    return None


def main():
    problems, graph, count = [], {}, 0

    def complain(path, line, text):
        problems.append(f"{path.relative_to(ROOT)}:{line}: {text}")

    for path in tree_files():
        if language(path) is None:
            continue
        count += 1
        text = path.read_text()
        check_sizes(path, text, complain)
        if language(path) == "c":
            check_columns(path, text, complain)
            check_kernel_calls(path, text, complain)
            check_names(path, text, complain)
            check_locks(path, text, complain)
            graph[path] = list(includes_of(path, text))
            check_layers(path, graph[path], complain)
    cycle = find_cycle(graph)
    if cycle:
        complain(cycle[0], 1, "include cycle: "
                 + " -> ".join(str(path.relative_to(ROOT)) for path in cycle))
    for problem in problems:
        print(problem)
    print(f"layout: {count} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
