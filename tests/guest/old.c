/* A guest program of upstream's time for i386, as small as it gets: `old NAME` toggles, and exits with the answer. */
__attribute__((used)) static void run(char **arguments)
{
    int answer, magic = 0x666, action = -100, unused;

    __asm__ volatile("cpuid"
                     : "=a"(answer), "=b"(unused), "=c"(unused), "=d"(unused)
                     : "a"(magic), "b"(action), "c"(arguments[1]), "d"(0)
                     : "memory");
    __asm__ volatile("int $0x80" : : "a"(1), "b"(answer));
}

/* The kernel leaves the count of the arguments on top of the stack, and the arguments above it. */
__asm__(".globl _start\n_start: lea 4(%esp), %eax\n push %eax\n call run\n");
