# An operating system that fits into a boot sector, for tests of what a hypervisor does to a guest. It says that it is up
# and how many disks the BIOS found, ticks once a second, tells of an NMI, echoes its serial port, shuts down when the
# power button is pressed, and lets go of PCI devices it is asked for (machine type pc).
#
#   as --32 -o guest.o guest.s && objcopy -O binary -j .text guest.o guest.bin

.intel_syntax noprefix
.code16
.org 0
start:  cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov word ptr [8], offset nmi + 0x7c00   # interrupt vector 2
        mov [10], ax
        mov si, offset banner + 0x7c00
        call print
        mov al, [0x475]                          # disks the BIOS counted
        add al, '0'
        call put
        mov al, 10
        call put
        mov dx, 0x602                            # ACPI: power button enabled
        in ax, dx
        or ax, 0x100
        out dx, ax
        xor cx, cx
again:  mov dx, 0x600                            # ACPI: power button pressed?
        in ax, dx
        test ax, 0x100
        jnz off
        mov dx, 0xae10                           # PCI hot unplug of i440fx: bus 0
        xor eax, eax
        out dx, eax
        mov dx, 0xae04                           # slots asked to leave
        in eax, dx
        test eax, eax
        jz stay
        cmp eax, -1
        je stay
        mov dx, 0xae08                           # eject them
        out dx, eax
stay:   mov dx, 0x3fd
        in al, dx
        test al, 1
        jz quiet
        mov dx, 0x3f8
        in al, dx
        call put
quiet:  sti
        hlt                                      # until the timer, 18 times a second
        cli
        inc cx
        cmp cx, 18
        jb again
        xor cx, cx
        mov al, '.'
        call put
        jmp again
off:    mov si, offset bye + 0x7c00
        call print
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        hlt
nmi:    pusha
        mov si, offset alarm + 0x7c00
        call print
        popa
        iret
print:  lodsb
        test al, al
        jz done
        call put
        jmp print
put:    push ax
        mov ah, 0x0e
        mov bx, 7
        int 0x10                                 # the screen
        pop ax
        push dx
        mov dx, 0x3f8
        out dx, al
        pop dx
done:   ret
banner: .asciz "\nguest is up, disks: "
bye:    .asciz "\nguest goes down\n"
alarm:  .asciz "\nguest got an NMI\n"
.org 510
.byte 0x55, 0xaa
