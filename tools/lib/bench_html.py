"""The HTML report of tools/bench: one file, plots inline."""
import html
import math

import bench_bases
import bench_native_report
import bench_report
import bench_setting
from bench_rows import OURS, PEERS

# Light enough for a dark page, and dark enough for a light one.
COLOURS = {"iocp": "#d0453a", "select": "#3a87c2", "stock-iocp": "#9a76cc", "libuv": "#35965f",
           "wepoll": "#c98a10", "floor": "#808080"}
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 90, 20, 40

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --rule: #ddd; --faint: #6a6a6a; --no: #b00; --yes: #070; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ddd; --paper: #181818; --rule: #444; --faint: #a0a0a0; --no: #ff7b6b; --yes: #6fcf7f; }
}
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em;
       color: var(--ink); background: var(--paper); }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child, .why { text-align: left; }
td small { color: var(--faint); }
.best { font-weight: bold; }
.no { color: var(--no); white-space: nowrap; }
.yes { color: var(--yes); white-space: nowrap; }
.headline { font-size: 1.25em; }
figure { display: inline-block; margin: 0 1em 1em 0; }
svg text { fill: var(--ink); }
svg .grid { stroke: var(--rule); }
"""


def log_scale(values, low_pixel, high_pixel):
    low, high = math.log10(min(values)), math.log10(max(values))
    span = (high - low) or 1
    return lambda value: low_pixel + (math.log10(value) - low) / span * (high_pixel - low_pixel)


def linear_scale(high, low_pixel, high_pixel):
    """From zero."""
    return lambda value: low_pixel + value / high * (high_pixel - low_pixel)


def even_ticks(high):
    step = next(step for power in range(-2, 9) for step in (10 ** power, 2 * 10 ** power, 5 * 10 ** power)
                if step * 6 >= high)
    return [step * n for n in range(int(high / step) + 1)]


def ticks(low, high):
    """1, 2 and 5 times the powers of ten."""
    found = [step * 10 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
             for step in (1, 2, 5) if low <= step * 10 ** power <= high]
    return found or [low]


def vertical(values, from_zero):
    """Where a value lies, and what is written beside the axis: calls from zero, times by powers of ten."""
    low, high = min(values) * 0.9, max(values) * 1.1
    if from_zero:
        return linear_scale(high, HEIGHT - BOTTOM, TOP), even_ticks(high)
    return log_scale([low, high], HEIGHT - BOTTOM, TOP), ticks(low, high)


def plot(title, unit, rows, peers, results, value, from_zero):
    """One line for each peer against the number of connections, whose axis is logarithmic."""
    lines = {}
    for peer in peers:
        points = [(row.connections, bench_report.figure(results, row, peer, value)) for row in rows]
        lines[peer] = [(x, y) for x, y in points if y]
    values = [y for points in lines.values() for _, y in points]
    if not values:
        return ""
    x_of = log_scale([row.connections for row in rows], LEFT, WIDTH - RIGHT)
    y_of, written = vertical(values, from_zero)
    parts = [f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" font-size="11" '
             'font-family="sans-serif">']
    for tick in written:
        y = y_of(tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>')
    for row in rows:
        parts.append(f'<text x="{x_of(row.connections):.1f}" y="{HEIGHT - BOTTOM + 16}" '
                     f'text-anchor="middle">{row.connections:,}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
                 'connections</text>')
    taken = []
    for peer, points in lines.items():
        if points:
            parts += draw_line(peer, [(x_of(x), y_of(y)) for x, y in points], taken)
    parts.append("</svg>")
    caption = html.escape(f"{title}: {unit}")
    return f"<figure><figcaption>{caption}</figcaption>{''.join(parts)}</figure>"


def draw_line(peer, points, taken):
    """A line with its name at the end, moved off those that are there already."""
    colour, width = COLOURS[peer], 3 if peer == OURS else 1.6
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>']
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
    x, y = points[-1]
    places = [y + 4 + 12 * step for n in range(2 * len(taken) + 1) for step in (n, -n)]
    label = next((place for place in places if TOP < place < HEIGHT - BOTTOM
                  and all(abs(place - other) >= 12 for other in taken)), y + 4)
    taken.append(label)
    parts.append(f'<text x="{x + 8:.1f}" y="{label:.1f}" style="fill: {colour}">{peer}</text>')
    return parts


def table(title, rows, peers, results, value, detail, least_is_best=True):
    head = "".join(f"<th>{html.escape(peer)}</th>" for peer in peers)
    body = []
    for row in rows:
        figures = {peer: bench_report.figure(results, row, peer, value) for peer in peers}
        known = [figure for figure in figures.values() if figure is not None]
        cells = []
        for peer in peers:
            best = ' class="best"' if least_is_best and known and figures[peer] == min(known) else ""
            extra = detail(results[row.name][peer]) if peer in results[row.name] else ""
            cells.append(f"<td{best}>{bench_report.short(figures[peer])} <small>{extra}</small></td>")
        body.append(f"<tr><td>{html.escape(row.title)}</td>{''.join(cells)}</tr>")
    return (f"<h2>{html.escape(title)}</h2><table><tr><th></th>{head}</tr>{''.join(body)}</table>")


def waits(rows, peers, results):
    head = "".join(f"<th>{html.escape(peer)}</th>" for peer in peers)
    parts = []
    for cell, unit in bench_report.WAITS:
        if bench_report.waits_known(rows, peers, results, cell):
            body = "".join(
                f"<tr><td>{html.escape(f'{row.title}: a {event}')}</td>"
                + "".join(f"<td>{cell(results[row.name].get(peer), event)}</td>" for peer in peers) + "</tr>"
                for row in rows for event in bench_report.EVENTS)
            parts.append(f"<h2>Waiting: {unit}, p50 / p99 / most</h2><table><tr><th></th>{head}</tr>{body}</table>")
    return "".join(parts)


def verdicts(rows, results, bases):
    titles = {row.name: row.title for row in rows}
    missed, met = [], []
    for name, good, text in bench_report.all_verdicts(rows, results, bench_bases.verdicts(bases)):
        (met if good else missed).append(verdict(titles.get(name, name), good, text))
    missed += [f"<tr><td>{html.escape(row.title)}</td><td>note</td><td class=why>{html.escape(text)}</td></tr>"
               for row in rows for text in bench_report.floor_loses(row, results)]
    return (f"<h2>Targets</h2><table>{''.join(missed)}</table>"
            f"<details><summary>{len(met)} that are met</summary><table>{''.join(met)}</table></details>")


def failed(rows, results):
    found = "".join(f'<tr><td>{html.escape(row.title)}</td><td class="no">{peer}</td><td class="why">{html.escape(why)}</td></tr>'
                    for row, peer, why in bench_report.failures(rows, results))
    return f"<h2>Failed (figures below are of before that)</h2><table>{found}</table>" if found else ""


def time_ratios(rows, peers, results):
    others = [peer for peer in peers if peer != OURS]
    head = "".join(f"<th>{html.escape(peer)}</th>" for peer in others)
    body = "".join(
        f"<tr><td>{html.escape(row.title)}</td>"
        + "".join(f"<td>{bench_report.time_ratio(results, row, peer)}</td>" for peer in others) + "</tr>"
        for row in rows)
    return ("<h2>Time: ours to theirs, and from the least to the most of the passes</h2>"
            f"<table><tr><th></th>{head}</tr>{body}</table>")


def verdict(name, met, text):
    kind, word = ("yes", "met") if met else ("no", "not met")
    return (f'<tr><td>{html.escape(name)}</td><td class="{kind}">{word}</td>'
            f'<td class="why">{html.escape(text)}</td></tr>')


def plots(rows, peers, results):
    parts = []
    for name in dict.fromkeys(row.plot for row in rows if row.plot):
        members = [row for row in rows if row.plot == name]
        if len(members) > 1:
            parts.append(plot(name, "us a round trip", members, peers, results, bench_report.time, False))
            parts.append(plot(name, "NT calls a round trip", members, peers, results, bench_report.calls, True))
    return "".join(parts)


def tables(rows, peers, results):
    worked = [row for row in rows if row.work not in ("memory", "waiting")]
    waiting = [row for row in rows if row.work == "waiting"]
    stored = [row for row in rows if row.work == "memory"]
    stepped = [row for row in worked if any(result.instructions for result in results[row.name].values())]
    is_timed = any(result.times for row in worked for result in results[row.name].values())
    return [
        table("NT calls a unit", worked, peers, results, bench_report.calls, lambda _: ""),
        table("Packets taken from completion ports, a unit", worked, peers, results,
              bench_report.packets, lambda _: "", least_is_best=False),
        table("Requests to Wine's server, a unit", worked, peers, results, bench_report.requests, lambda _: ""),
        table("Instructions a unit: the program's, with the libraries in it", stepped, peers, results,
              bench_report.instructions, lambda _: "") if stepped else "",
        table("Those of them that are this project's, and neither libevent's nor the benchmark's", stepped, [OURS], results,
              bench_report.project_instructions, lambda _: "") if stepped and OURS in peers else "",
        table("Instructions a unit: Windows's DLLs", stepped, peers, results,
              bench_report.dll_instructions, lambda _: "") if stepped else "",
        table("Time, us a unit: median, and the spread from least to most", worked, peers, results,
              bench_report.time, bench_report.spread) if is_timed else "",
        time_ratios(worked, peers, results) if is_timed and OURS in peers else "",
        table("Memory, bytes", stored, peers, results, bench_report.memory, lambda _: "") if stored else "",
        waits(waiting, peers, results) if waiting else "",
    ]


def bases_section(results, memory):
    """The rows with several bases on one listening socket."""
    if not results and not memory:
        return ""
    titles = {row.name: row.title for row in bench_bases.ROWS}
    head = "".join(f"<th>{name}</th>" for name in ("", "NT calls", "requests", "us", "locks of the last phase",
                                                   "connections of a base", "requests of a base"))
    body = "".join(
        f"<tr><td>{html.escape(titles[name])}</td><td>{peer}</td>"
        + "".join(f"<td>{bench_report.short(value)}</td>" for value in (found.nt_calls, found.requests, found.time_us()))
        + f"<td>{'-' if found.locks is None else found.locks}</td><td>{bench_bases.spread(found.accepted)}</td><td>{bench_bases.spread(found.answered)}</td></tr>"
        for name, peers in results.items() for peer, found in peers.items())
    idle = "".join(f"<p>An idle base, {peer}: {found['private']:,.0f} private bytes, {found['heap']:,.0f} of libevent's heap.</p>"
                   for peer, found in memory.items() if "failure" not in found)
    return ("<h2>Several bases on one listening socket, a thread each: a request, both its ends</h2>"
            "<p>Calls are counted on one core; times are those of all cores, and of Wine's server, which answers one call after "
            f"the other.</p><table><tr><th></th>{head}</tr>{body}</table>{idle}")


def page(rows, peers, results, known, bases):
    what = "".join(f"<li><b>{peer}</b>: {html.escape(PEERS[peer][2])}</li>" for peer in peers)
    left_out = "".join(f"<li>{html.escape(f'{row.title}: {peer} {why}')}</li>"
                       for row in rows for peer, why in row.left_out.items() if peer in peers)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>libevent-iocp: benchmarks</title>",
        '<meta name=viewport content="width=device-width">',
        f"<style>{STYLE}</style><h1>libevent-iocp: the same work, side by side</h1>",
        f"<p class=headline>{html.escape(bench_report.headline(rows, results, bench_bases.verdicts(bases[0])))}</p>" if OURS in peers else "",
        f"<p>{html.escape(bench_setting.as_text(known))}</p>",
        "<p>Under Wine, pinned to one core with Wine's server; both ends "
        "in one process but for HTTP and where the client is a Linux program. NT calls are those into ntdll, "
        "which Windows would execute likewise; requests are those to Wine's server. Times compare programs under Wine and nothing else.</p>",
        f"<ul>{what}</ul>",
        failed(rows, results),
        verdicts(rows, results, bases[0]) if OURS in peers else "",
        plots(rows, peers, results),
        *tables(rows, peers, results),
        bench_native_report.section(rows, peers, results),
        bench_native_report.grown_section(rows, peers, results),
        bases_section(*bases),
        f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else "",
    ]
    return "\n".join(parts) + "\n</html>\n"
