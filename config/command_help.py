#!/usr/bin/env python3
"""Man pages and shell completion, made from what the programs' own --help says, so that they cannot differ.

  command_help.py man PROGRAM TEMPLATE          %OPTIONS% and %COMMANDS% in TEMPLATE are replaced
  command_help.py yaml FILE TEMPLATE            %FILE% in TEMPLATE is replaced by the file, line by line
  command_help.py bash|zsh PROGRAM…             completion for all of them; each has to know --help
  command_help.py commands PROGRAM              every subcommand, a line each

The result goes to stdout. Exit status: 0 done, 1 a program's help is not understood, 2 usage.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Option:
    names: list[str]
    value: str  # what follows, as in "TEXT"; empty: a flag
    words: str


@dataclass
class Command:
    path: list[str]  # ["furrow", "hook", "install"]
    about: str
    usage: str = ""
    options: list[Option] = field(default_factory=list)
    positionals: list[tuple[str, str]] = field(default_factory=list)
    commands: list["Command"] = field(default_factory=list)


def fail(words: str) -> None:
    print(f"command_help: {words}", file=sys.stderr)
    sys.exit(1)


def ask(program: str, words: list[str]) -> str:
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        fail(f"{program} {' '.join(words)} --help ends with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def entries(lines: list[str]) -> list[tuple[str, str]]:
    """The two columns of a section; a text too long for its column stands on the next line."""
    found: list[tuple[str, str]] = []
    for line in lines:
        match = re.match(r"^  (\S.*?)(?:\s{2,}(.*))?$", line)
        if match:
            found.append((match[1].strip(), (match[2] or "").strip()))
        elif line.strip() and found:
            left, right = found[-1]
            found[-1] = (left, f"{right} {line.strip()}".strip())
    return found


def read(program: str, words: list[str], about: str = "") -> Command:
    """What `program words… --help` says, and all below it."""
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in ask(program, words).splitlines():
        heading = re.match(r"^([A-Z][a-z]+(?: [a-z]+)*):$", line)
        if heading:
            current = heading[1]
            sections[current] = []
        elif line and not line.startswith(" ") and current:
            current = "after"
            sections.setdefault(current, []).append(line)
        else:
            sections[current].append(line)
    usage = next((line[7:] for line in sections[""] if line.startswith("Usage: ")), None)
    if usage is None:
        fail(f"{program} {' '.join(words)} --help has no line Usage:")
    name = Path(program).name
    command = Command([name, *words], about or sections[""][0])
    command.usage = re.sub(r"^\S+", name, usage)
    for left, right in entries(sections.get("Options", [])):
        flags, _, rest = left.partition(" ")
        value = re.split(r"[:=\[]| \.\.\.| REQUIRED", rest)[0].strip() if rest else ""
        command.options.append(Option(flags.split(","), value, right))
    for left, right in entries(sections.get("Positionals", [])):
        command.positionals.append((left.split(" ")[0], right))
    for left, right in entries(sections.get("Subcommands", [])):
        command.commands.append(read(program, [*words, left], right))
    return command


def walk(command: Command) -> list[Command]:
    return [command] + [below for sub in command.commands for below in walk(sub)]


# ---- man pages -------------------------------------------------------------------------------------


def roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def roff_options(options: list[Option]) -> str:
    lines = []
    for option in options:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in option.names)
        lines += [".TP", names + (f" \\fI{roff(option.value)}\\fR" if option.value else ""), roff(option.words)]
    return "\n".join(lines)


def man(program: str, template: str) -> str:
    top = read(program, [])
    lines = []
    for command in walk(top)[1:]:
        if command.commands:  # its parts are listed
            continue
        lines += [".TP", f"\\fB{roff(command.usage.replace(' [OPTIONS]', ''))}\\fR", roff(command.about)]
        lines += [f".br\n\\fI{roff(name)}\\fR: {roff(words)}" for name, words in command.positionals if words]
        own = [option for option in command.options if "--help" not in option.names]
        if own:
            lines += [".RS", roff_options(own), ".RE"]
    text = Path(template).read_text()
    text = text.replace("%OPTIONS%", roff_options(top.options))
    return text.replace("%COMMANDS%", "\n".join(lines))


def yaml(file: str, template: str) -> str:
    body = "\n".join(roff(line) for line in Path(file).read_text().splitlines())
    return Path(template).read_text().replace("%FILE%", body)


# ---- completion ------------------------------------------------------------------------------------


def takes_file(command: Command) -> bool:
    return any(name in ("PATH", "FILE", "REPO", "FOLDER", "DIR") for name, _ in command.positionals)


def bash(programs: list[str]) -> str:
    """One function a program: it finds the subcommand among the words and offers what that one takes."""
    lines = ["# bash completion for " + ", ".join(Path(p).name for p in programs) + "; made from their --help"]
    for program in programs:
        top = read(program, [])
        name = "_" + Path(program).name.replace("-", "_")
        shared = [n for option in top.options for n in option.names]
        lines += [f"{name}() {{", "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}",
                  "  local path= at words= files=", "  for ((at = 1; at < COMP_CWORD; at++)); do",
                  '    case "$path ${COMP_WORDS[at]}" in']
        for command in walk(top)[1:]:
            said = " ".join(command.path[1:])
            lines.append(f'      " {said}") path=" {said}" ;;')
        lines += ["    esac", "  done", "  COMPREPLY=()", '  case "$path" in']
        valued = set()
        for command in walk(top):
            own = [n for option in command.options for n in option.names]
            valued.update(n for option in command.options if option.value for n in option.names)
            words = [sub.path[-1] for sub in command.commands] + sorted(set(own + shared))
            said = "".join(" " + word for word in command.path[1:])
            files = " files=yes" if takes_file(command) else ""
            lines.append(f"    '{said}') words='{' '.join(words)}'{files} ;;")
        lines += ["  esac"]
        if valued:
            lines += ['  case "$before" in', f"    {' | '.join(sorted(valued))})",
                      '      mapfile -t COMPREPLY < <(compgen -f -- "$word")', "      return ;;", "  esac"]
        lines += ['  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")',
                  '  if [[ -n $files && $word != -* ]]; then',
                  '    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")', "  fi", "}",
                  f"complete -o filenames -F {name} {Path(program).name}"]
    return "\n".join(lines) + "\n"


def zsh_quoted(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_function(command: Command, shared: list[Option]) -> list[str]:
    name = "_" + "_".join(word.replace("-", "_") for word in command.path)
    own = [n for option in command.options for n in option.names]
    options = command.options + [option for option in shared if not set(option.names) & set(own)]
    lines = [f"{name}() {{"]
    if command.commands:
        lines.append("  local context state line")
    lines.append("  _arguments -C \\")
    for option in options:
        for flag in option.names:
            value = f":{option.value}:_files" if option.value else ""
            lines.append(f"    '{flag}[{zsh_quoted(option.words)}]{value}' \\")
    if command.commands:
        lines += ["    '1: :->command' '*:: :->rest'", "  case $state in", "    command)", "      local -a commands=("]
        lines += [f"        '{sub.path[-1]}:{zsh_quoted(sub.about)}'" for sub in command.commands]
        lines += ["      )", "      _describe command commands ;;", "    rest)", "      case $words[1] in"]
        for sub in command.commands:
            lines.append(f"        {sub.path[-1]}) _{'_'.join(w.replace('-', '_') for w in sub.path)} ;;")
        lines += ["      esac ;;", "  esac"]
    else:
        lines.append("    '*:file:_files'" if takes_file(command) else "    '*: :'")
    lines.append("}")
    for sub in command.commands:
        lines += zsh_function(sub, shared)
    return lines


def zsh(programs: list[str]) -> str:
    names = [Path(program).name for program in programs]
    lines = ["#compdef " + " ".join(names), "# Made from what the programs' --help says."]
    for program in programs:
        top = read(program, [])
        lines += zsh_function(top, top.options)
    lines += ["case $service in"]
    lines += [f"  {name}) _{name.replace('-', '_')} \"$@\" ;;" for name in names]
    return "\n".join(lines + ["esac"]) + "\n"


def commands(program: str) -> str:
    return "".join(" ".join(command.path) + "\n" for command in walk(read(program, []))[1:])


def main() -> None:
    verb, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if verb in ("man", "yaml") and len(words) == 2:
        text = {"man": man, "yaml": yaml}[verb](*words)
    elif verb in ("bash", "zsh") and words:
        text = {"bash": bash, "zsh": zsh}[verb](words)
    elif verb == "commands" and len(words) == 1:
        text = commands(words[0])
    else:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
