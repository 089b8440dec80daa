// For macOS only. zig links libc++ into the plugin, and its Mach-O linker can't leave libc++'s operators new and delete
// out of the exports, where they would compete with those of the process. These are hidden, by the compiler's options,
// and are taken in place of libc++'s.

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

void *allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    void *memory = nullptr;
    if (posix_memalign(&memory, std::max(alignment, sizeof memory), std::max<std::size_t>(size, 1)))
        throw std::bad_alloc();
    return memory;
}

} // namespace

void *operator new(std::size_t size) { return allocate(size); }
void *operator new[](std::size_t size) { return allocate(size); }
void *operator new(std::size_t size, std::align_val_t to) { return allocate(size, static_cast<std::size_t>(to)); }
void *operator new[](std::size_t size, std::align_val_t to) { return allocate(size, static_cast<std::size_t>(to)); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
