//! The devices whose states are in the snapshots of PANDA's usual machines.

/// What QEMU calls them: a PC's own, then those that pandacap can add.
const KNOWN: &str = "timer cpu_common cpu kvm-tpr-opt apic fw_cfg PCIBUS I440FX PIIX3 i8259 ioapic hpet mc146818rtc \
    i8254 pcspk serial ps2kbd ps2mouse pckbd port92 dma fdc ide i2c_bus piix4_pm acpi_build globalstate vmmouse \
    vga virtio-blk slirp e1000 rtl8139 virtio-net pcnet ne2000 i82551 eeprom";

/// Whether a machine that pandacap makes by itself can have a device of this name.
pub(super) fn is_known(name: &str) -> bool {
    let device = match name.split_once('/') {
        // A device on a PCI bus has its place before its name.
        Some((place, device))
            if place.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) =>
        {
            device
        }
        _ => name,
    };
    KNOWN.split(' ').any(|known| known == device)
}
