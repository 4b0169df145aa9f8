// Lets an addon that was built on a new Linux run on older ones, from glibc 2.28 on. Calls are bound to the oldest
// version of a function, which every glibc has. What only new versions have is defined here. This is for packages only
// (EK_OLD_GLIBC). The build tells the linker to wrap the functions that EK_OLDEST names (`--wrap`), so that the C++
// library's own calls come here, too. Old and new versions of the functions for threads are the same code.
#if defined(EK_OLD_GLIBC)
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__x86_64__)
#define EK_FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define EK_FIRST_GLIBC "GLIBC_2.17"
#endif

#define EK_OLDEST(name, parameters, arguments)                  \
  extern "C" int ek_oldest_##name parameters;                   \
  asm(".symver ek_oldest_" #name "," #name "@" EK_FIRST_GLIBC); \
  extern "C" int __wrap_##name parameters { return ek_oldest_##name arguments; }

EK_OLDEST(pthread_create, (pthread_t * thread, const pthread_attr_t* how, void* (*run)(void*), void* with),
          (thread, how, run, with))
EK_OLDEST(pthread_join, (pthread_t thread, void** result), (thread, result))
EK_OLDEST(pthread_detach, (pthread_t thread), (thread))
EK_OLDEST(pthread_once, (pthread_once_t * once, void (*run)()), (once, run))
EK_OLDEST(pthread_key_create, (pthread_key_t * key, void (*end)(void*)), (key, end))
EK_OLDEST(__pthread_key_create, (pthread_key_t * key, void (*end)(void*)), (key, end))
EK_OLDEST(pthread_key_delete, (pthread_key_t key), (key))
EK_OLDEST(pthread_setspecific, (pthread_key_t key, const void* value), (key, value))
EK_OLDEST(pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))
EK_OLDEST(pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))
EK_OLDEST(pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))
EK_OLDEST(pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock))

extern "C" void* ek_oldest_pthread_getspecific(pthread_key_t key);
asm(".symver ek_oldest_pthread_getspecific,pthread_getspecific@" EK_FIRST_GLIBC);
extern "C" void* __wrap_pthread_getspecific(pthread_key_t key) { return ek_oldest_pthread_getspecific(key); }

// Since 2.32: whether atomic operations may be left out. They may not, because there are threads.
extern "C" {
char __libc_single_threaded = 0;
}

// Since 2.35: finds unwind tables quickly. Nothing is ever unwound: kernels throw nothing, and what the C++ library
// throws ends the process.
struct dl_find_object;
extern "C" int _dl_find_object(void*, dl_find_object*) noexcept { return -1; }

// Since 2.36: random numbers. Nothing here calls it; std::random_device, which is linked with the C++ library, does.
extern "C" uint32_t arc4random() noexcept {
  uint32_t value = 0;
  if (getentropy(&value, sizeof value) != 0) __builtin_trap();
  return value;
}
#endif
