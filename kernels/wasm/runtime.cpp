// The functions of a C library that compilers call, for the WebAssembly build, which has no library. Each is one
// bulk-memory instruction.
#include <stddef.h>

extern "C" {
void* memcpy(void* to, const void* from, size_t n) { return __builtin_memcpy(to, from, n); }
void* memmove(void* to, const void* from, size_t n) { return __builtin_memmove(to, from, n); }
void* memset(void* to, int value, size_t n) { return __builtin_memset(to, value, n); }
}
