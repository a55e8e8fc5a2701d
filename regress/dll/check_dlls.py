#!/usr/bin/env python3
"""Builds our DLLs by BUILD_SHARED_LIBS, compares them with libevent's, and gives them to programs that were linked
to libevent's.

usage: check_dlls.py --build FOLDER --work FOLDER --source LIBEVENT_SOURCE_DIR [--openssl]

  install  DLLs, import libraries and packages lie where they are looked for, beside static libraries too
  border   extra and openssl ask core for no data, but what libevent's headers import: MSVC's linker finds no other
  exports  whatever libevent's DLL exports, ours of that name exports too; no DLL of a C++ runtime is asked for
  link     a program that is linked to our import libraries asks for our DLLs and runs
  swap     the same program files, beside our DLLs and with EVENT_IOCP=1, run on the port; without it on select
  mixture  libevent's extra and openssl beside our core work; ours beside libevent's core say why they do not
  unload   nothing of a DLL is left in a process that unloads it"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))
import traffic  # noqa: E402

HOST = "x86_64-w64-mingw32"
CC = f"{HOST}-gcc-posix"
TOOLCHAIN = ROOT / "tools/cmake/mingw-w64.cmake"
WINEPATH = {"WINEPATH": f"Z:\\usr\\{HOST}\\lib"}  # libwinpthread-1.dll, for libevent's clock_gettime
RUNTIMES = ("libstdc++", "libgcc_s", "libc++", "msvcp")
THE_MESSAGE = "iocp_all_libevent_dlls_must_be_swapped_together"
# Names that the linker makes for its own use.
OF_THE_LINKER = re.compile(r"_imp__|\.refptr\.")
# Data of core's that libevent's headers have MSVC import, for extra alone.
IMPORTED = {"extra": {"event_debug_logging_mask_"}}
ALL_IN_ONE = "libevent-7.dll"  # libevent's is not built: it would be core's and extra's files once more
TIMES_LOADED = 5


def run(*command):
    done = subprocess.run([str(part) for part in command], text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    traffic.require(done.returncode == 0,
                    f"{' '.join(map(str, command))}\n" + "\n".join(done.stdout.splitlines()[-40:]))
    return done.stdout


def build_ours(arguments):
    """Configures, builds and installs as README says, and returns the prefix."""
    build, prefix = arguments.work / "build", arguments.work / "prefix"
    shutil.rmtree(arguments.work, ignore_errors=True)
    run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}",
        f"-DLIBEVENT_SOURCE_DIR={arguments.source}", f"-DLIBEVENT_IOCP_OPENSSL={'ON' if arguments.openssl else 'OFF'}",
        "-DLIBEVENT_IOCP_BUILD_TESTS=OFF", "-DBUILD_SHARED_LIBS=ON")
    run("cmake", "--build", build)
    # Both kinds in one prefix, as MSYS2's package has it: the .pc files are those of the last.
    run("cmake", "--install", arguments.build, "--prefix", prefix)
    run("cmake", "--install", build, "--prefix", prefix)
    names = ["libevent", "libevent_core", "libevent_extra", *(["libevent_openssl"] if arguments.openssl else [])]
    wanted = [path for name in names for path in (f"bin/{name}-7.dll", f"lib/{name}.dll.a", f"lib/{name}.a",
                                                  f"lib/pkgconfig/{name}.pc")]
    missing = [path for path in wanted if not (prefix / path).is_file()]
    traffic.require(not missing, f"not installed: {', '.join(missing)}")
    run("cmake", "-DLIBEVENT_IOCP_DLL_SUFFIX=-2-1-7", build)
    run("cmake", "--build", build)
    missing = [name for name in names if not (build / f"bin/iocp-dll/{name}-2-1-7.dll").is_file()]
    traffic.require(not missing, f"no DLL with libtool's name of {', '.join(missing)}")
    print("install: DLLs and import libraries beside the static ones; by libtool's names if asked for")
    return prefix


def check_link(work, prefix):
    """By name, by pkg-config and by CMake's package, whose LIBEVENT_STATIC_LINK chooses between both kinds."""
    timer = ROOT / "regress/consumer/timer.c"
    flags = run("env", f"PKG_CONFIG_LIBDIR={prefix}/lib/pkgconfig", "pkg-config", "--define-prefix", "--cflags",
                "--libs", "libevent_extra").split()
    ways = {"by-name": [f"-I{prefix}/include", f"-L{prefix}/lib", "-levent", "-lws2_32"],
            "by-pkg-config": [*flags, "-lws2_32"]}
    programs = []
    for way, arguments in ways.items():
        programs.append(work / f"{way}.exe")
        run(CC, timer, "-o", programs[-1], *arguments)
    for static in "OFF", "ON":
        build = work / f"by-cmake-{static}"
        run("cmake", "-S", ROOT / "regress/consumer/drop_in", "-B", build, "-G", "Ninja",
            f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}", f"-DLibevent_DIR={prefix}/lib/cmake/libevent",
            f"-DLIBEVENT_STATIC_LINK={static}")
        run("cmake", "--build", build)
        programs.append(build / "timer.exe")
    two = ["libevent_core-7.dll", "libevent_extra-7.dll"]
    for program, wanted in zip(programs, [[ALL_IN_ONE], two, two, []]):
        found = sorted(name for name in asked_for(program) if name.startswith("libevent"))
        traffic.require(found == wanted, f"{program} asks for {found}")
        output = run("env", f"WINEPATH=Z:{prefix}/bin;{WINEPATH['WINEPATH']}", "EVENT_IOCP=1", ROOT / "tools/wine-run",
                     program)
        traffic.require(" on iocp: 1" in output, f"{program}: {output}")
    print("link: by -levent, pkg-config and CMake's package, shared and static from one prefix")


def asked_for(file):
    """The DLLs that a program or DLL asks for."""
    return set(re.findall(r"DLL Name: (\S+)", run(f"{HOST}-objdump", "-p", file)))


def exports(dll):
    names = re.search(r"\[Ordinal/Name Pointer\] Table\n(.*?)\n\n", run(f"{HOST}-objdump", "-p", dll), re.DOTALL)
    return set(re.findall(r"^\s*\[\s*\d+\]\s+(?:\+base\[\s*\d+\]\s+)?(?:[0-9a-f]+\s+)?(\S+)$", names.group(1),
                          re.MULTILINE))


def symbols(objects, option):
    """Names, and nm's letters for them."""
    traffic.require(objects, "no object files")
    found = re.findall(r"^[0-9a-f ]{16} ([A-Za-z]) (\S+)$", run(f"{HOST}-nm", option, *objects), re.MULTILINE)
    return {name: letter for letter, name in found}


def check_border(build):
    """MinGW's linker imports data by itself, so that the objects have to tell."""
    folders = {name: build / f"CMakeFiles/libevent_iocp_{name}.dir" for name in ("core", "extra", "openssl")}
    objects = {name: sorted(folder.rglob("*.obj")) for name, folder in folders.items() if folder.is_dir()}
    offered = symbols(objects.pop("core"), "--defined-only")
    for name, files in objects.items():
        own = symbols(files, "--defined-only")
        asked = [symbol for symbol in symbols(files, "--undefined-only") if symbol in offered and symbol not in own]
        data = sorted(symbol for symbol in asked if offered[symbol] != "T" and symbol not in IMPORTED.get(name, ()))
        traffic.require(len(asked) > 10, f"{name} asks core for {asked} alone")
        traffic.require(not data, f"{name} asks core for data: {', '.join(data)}")
        print(f"border: {name} asks core for {len(asked)} names, and for no data that is not imported")


def check_exports(stock, ours):
    stocks = {path.name: exports(path) for path in stock.glob("libevent*.dll")}
    stocks[ALL_IN_ONE] = stocks["libevent_core-7.dll"] | stocks["libevent_extra-7.dll"]
    names = {path.name for path in ours.glob("libevent*.dll")}
    traffic.require(names == set(stocks), f"libevent's DLLs are {set(stocks)}, and ours {names}")
    for name, wanted in sorted(stocks.items()):
        offered = exports(ours / name)
        missing = {export for export in wanted - offered if not OF_THE_LINKER.search(export)}
        traffic.require(len(wanted) > 10 and not missing, f"{name} does not export {', '.join(sorted(missing))}")
        runtime = [dll for dll in asked_for(ours / name) if dll.lower().startswith(RUNTIMES)]
        traffic.require(not runtime, f"{name} asks for {', '.join(runtime)}")
        print(f"exports: {name}: {len(wanted)} of libevent's, {len(offered - wanted)} besides")


def assemble(folder, programs, dlls):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in [*programs, *dlls]:
        shutil.copy(path, folder)
    return folder


def ask(url, *options):
    done = traffic.run_client(["curl", "-sS", "--max-time", 20, *options, url], 30, text=False)
    traffic.require(done.returncode == 0, f"curl {url}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def serve_files(folder, iocp):
    (folder / "page.txt").write_text("a page\n")
    server = traffic.Server("iocp", folder / "http-server.exe", ["-p", "0", traffic.windows_path(folder)],
                            extra={"EVENT_IOCP": iocp, **WINEPATH})
    with server:
        port = int(server.find(r"^Listening on \S+:(\d+)").group(1))
        traffic.require(ask(f"http://127.0.0.1:{port}/page.txt") == b"a page\n", "http-server: another page")
        return server.method()


def serve_bytes(folder, iocp):
    port = traffic.free_port()
    with traffic.Server("iocp", folder / "bench_http.exe", ["-p", port, "-l", "1000"],
                        extra={"EVENT_IOCP": iocp, **WINEPATH}) as server:
        traffic.wait_until(lambda: traffic.accepts_connections(port), 60, server.name)
        traffic.require(len(ask(f"http://127.0.0.1:{port}/ind")) == 1000, "bench_http: another length")
        return server.method()


def serve_tls(folder):
    output = run("python3", ROOT / "regress/consumer/check_tls_server.py", folder / "tls_server.exe", folder)
    return re.search(r"by (\w+)", output).group(1)


def check_swap(work, stock, ours, programs):
    checks = {"http-server": serve_files, "bench_http": serve_bytes}
    for dlls, iocp, method in (stock, "1", "win32"), (ours, "0", "win32"), (ours, "1", "iocp"):
        folder = assemble(work / "swap", programs, dlls.glob("libevent*.dll"))
        for name, check in checks.items():
            found = check(folder, iocp)
            traffic.require(found == method, f"{name} with {dlls} and EVENT_IOCP={iocp} is on {found}")
    print("swap: http-server and bench_http, linked to libevent's DLLs, are on the port with ours")
    if (stock / "tls_server.exe").is_file():
        os.environ["WINEPATH"] = WINEPATH["WINEPATH"]
        found = serve_tls(folder)
        traffic.require(found == "iocp", f"tls_server with our DLLs is on {found}")
        print("swap: so is tls_server")


def check_mixture(work, stock, ours, programs):
    folder = assemble(work / "our-core", programs,
                      [ours / "libevent_core-7.dll", *(path for path in stock.glob("*.dll") if "core" not in path.name)])
    found = serve_files(folder, "1")
    traffic.require(found == "iocp", f"http-server with our core and libevent's extra is on {found}")
    if (stock / "tls_server.exe").is_file():
        found = serve_tls(folder)
        traffic.require(found == "iocp", f"tls_server with our core and libevent's openssl is on {found}")
    for program, others in ("timer", ["extra"]), ("tls_server", ["extra", "openssl"]), ("tls_server", ["openssl"]):
        if not (stock / f"{program}.exe").is_file():
            continue
        dlls = {path.name: path for path in stock.glob("*.dll")}
        dlls.update({f"libevent_{name}-7.dll": ours / f"libevent_{name}-7.dll" for name in others})
        folder = assemble(work / "their-core", programs, dlls.values())
        done = subprocess.run([ROOT / "tools/wine-run", folder / f"{program}.exe"], env={**os.environ, **WINEPATH},
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              check=False)
        traffic.require(done.returncode != 0 and THE_MESSAGE in done.stdout,
                        f"libevent's core with our {' and '.join(others)} says: {done.stdout}")
    print("mixture: our core works with libevent's other DLLs; ours say that they need it")


def check_unload(ours, stock):
    output = run("env", f"WINEPATH={WINEPATH['WINEPATH']}", "EVENT_IOCP=1", ROOT / "tools/wine-run",
                 stock / "unload.exe", traffic.windows_path(ours / "libevent_core-7.dll"), TIMES_LOADED)
    traffic.require(output.count("iocp\n") == TIMES_LOADED or output.count("iocp\r\n") == TIMES_LOADED,
                    f"the unloaded DLL was not on the port: {output}")
    print(f"unload: {output.strip().splitlines()[-1]}")


def check():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--openssl", action="store_true", help="the build in --build has it")
    arguments = parser.parse_args()
    prefix = build_ours(arguments)
    stock, ours = arguments.build / "bin/stock-dll", prefix / "bin"
    programs = list(stock.glob("*.exe"))
    check_border(arguments.work / "build")
    check_exports(stock, ours)
    check_link(arguments.work, prefix)
    check_swap(arguments.work, stock, ours, programs)
    check_mixture(arguments.work, stock, ours, programs)
    check_unload(ours, stock)


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("check_dlls", check)
