"""What a native file says of itself: the plugin for Windows, macOS or Linux, read by lief."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lief

lief.logging.disable()  # it warns of what an empty symbol table lacks
#: what Mach-O's linkers add to the exports of each dylib
ADDED_EXPORTS = {"__mh_dylib_header", "___dso_handle"}
#: Mach-O's ordinal of symbols that are looked up in the whole process, not in one library
WHOLE_PROCESS = -2


@dataclass(frozen=True, kw_only=True)
class PluginFacts:
    """One native file.

    ``format`` is ELF, PE or MACHO; ``libraries`` are the files that it loads; ``host_symbols`` are those that it takes
    from the process, which is from Python; ``versions`` are those of the symbols of ELF's libraries; ``oldest_system``
    is Mach-O's; ``is_stripped`` where there are neither debug sections nor names of local symbols.
    """

    format: str
    machine: str
    exports: frozenset[str]
    libraries: frozenset[str]
    host_symbols: frozenset[str]
    versions: frozenset[str] = frozenset()
    oldest_system: str = ""
    is_stripped: bool
    size_bytes: int


def read_plugin(path: Path) -> PluginFacts:
    """Read a native file.

    Raises: ValueError when it is none of the three formats.
    """
    binary = lief.parse(str(path))
    match binary:
        case lief.ELF.Binary():
            return _of_elf(binary, path.stat().st_size)
        case lief.PE.Binary():
            return _of_pe(binary, path.stat().st_size)
        case lief.MachO.Binary():
            return _of_macho(binary, path.stat().st_size)
    raise ValueError(f"{path.name} must be an ELF, PE or Mach-O file; look how it was built")


def _of_elf(binary: lief.ELF.Binary, size_bytes: int) -> PluginFacts:
    symbols = [symbol for symbol in binary.dynamic_symbols if symbol.name]
    undefined = [symbol for symbol in symbols if symbol.shndx == 0]
    requirements = [row for library in binary.symbols_version_requirement for row in library.get_auxiliary_symbols()]
    return PluginFacts(
        format="ELF",
        machine=binary.header.machine_type.name,
        exports=frozenset(str(symbol.name) for symbol in symbols if symbol.shndx != 0),
        libraries=frozenset(str(name) for name in binary.libraries),
        host_symbols=frozenset(str(symbol.name) for symbol in undefined if not _is_versioned(symbol)),
        versions=frozenset(str(row.name) for row in requirements),
        is_stripped=not any(str(section.name).startswith((".debug", ".symtab")) for section in binary.sections),
        size_bytes=size_bytes,
    )


def _is_versioned(symbol: lief.ELF.Symbol) -> bool:
    version = symbol.symbol_version
    return version is not None and version.has_auxiliary_version


def _of_pe(binary: lief.PE.Binary, size_bytes: int) -> PluginFacts:
    of_python = [entry for library in binary.imports if library.name == "python3.dll" for entry in library.entries]
    return PluginFacts(
        format="PE",
        machine=binary.header.machine.name,
        exports=frozenset(str(entry.name) for entry in binary.exported_functions),
        libraries=frozenset(str(library.name) for library in (*binary.imports, *binary.delay_imports)),
        host_symbols=frozenset(str(entry.name) for entry in of_python),
        is_stripped=not any(str(section.name).startswith(".debug") for section in binary.sections),
        size_bytes=size_bytes,
    )


def _of_macho(binary: lief.MachO.Binary, size_bytes: int) -> PluginFacts:
    info, build = binary.dyld_info, binary.build_version
    if info is None or build is None:
        raise ValueError("a Mach-O file must say what it binds, and for which system; look how it was built")
    bindings = [row for row in info.bindings if row.library_ordinal == WHOLE_PROCESS]
    exports = {str(row.symbol.name) for row in info.exports if row.symbol is not None}
    names = [str(symbol.name) for symbol in binary.symbols if symbol.category == lief.MachO.Symbol.CATEGORY.LOCAL]
    own_name = lief.MachO.LoadCommand.TYPE.ID_DYLIB
    return PluginFacts(
        format="MACHO",
        machine=binary.header.cpu_type.name,
        exports=frozenset(name.removeprefix("_") for name in exports - ADDED_EXPORTS),
        libraries=frozenset(str(row.name) for row in binary.libraries if row.command != own_name),
        host_symbols=frozenset(str(row.symbol.name).removeprefix("_") for row in bindings if row.symbol is not None),
        oldest_system=".".join(map(str, build.minos[:2])),
        is_stripped=all(name.endswith("__thunk") or name in ADDED_EXPORTS for name in names),
        size_bytes=size_bytes,
    )
