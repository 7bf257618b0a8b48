//! The products of rows and a panel on processors with AMX-BF16: tiles of 16 rows of 16 pairs are multiplied at a time.
//!
//! For each tile of 16 pairs an instruction adds the products of first and of second numbers up apart, one after the other,
//! and then their sum to the result; what is too small for a normal number is zero (Intel SDM, volume 2, `TDPBF16PS`). That
//! is another order than that of AVX512-BF16. Linux has to be asked for the tiles' registers
//! (`Documentation/arch/x86/xstate.rst`). Instructions are written in assembly: their intrinsics are unstable.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::LazyLock;

use super::super::{PANEL, Place};
use super::Pair;

/// Rows of `x` that are multiplied together: two tiles.
pub(super) const ROWS: usize = 32;
/// Pairs of a tile.
pub(super) const PAIRS: usize = 16;
/// Columns that are multiplied together: two tiles.
const COLUMNS: usize = 32;

/// Whether this CPU has such tiles and Linux lets this process use them, which it is asked for once.
pub(crate) fn allowed() -> bool {
    static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        const AMX_BF16: u32 = 1 << 22;
        const AMX_TILE: u32 = 1 << 24;
        let leaves = __cpuid_count(0, 0).eax;
        leaves >= 7 && __cpuid_count(7, 0).edx & (AMX_BF16 | AMX_TILE) == AMX_BF16 | AMX_TILE && permitted()
    });
    *ALLOWED
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a call of the system that has no function")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: it takes two numbers, and what it changes is that instructions for tiles do not fail.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The shapes of tiles: operand of `LDTILECFG`.
#[repr(C, align(64))]
struct Tiles {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight of 16 rows of 64 bytes.
static TILES: Tiles = Tiles {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Sums of [`ROWS`] rows and [`COLUMNS`] columns.
#[repr(C, align(64))]
struct Sums([[f32; COLUMNS]; ROWS]);

/// Adds the products of all rows with a panel to its columns of `out`, or begins with them: of rows `stride` pairs apart.
///
/// # Panics
/// Unless there are whole [`ROWS`] in `x` for the rows of `out`, and whole [`PAIRS`] in the panel and in each row of `x`, or
/// without what is [`allowed`].
#[expect(unsafe_code, reason = "assembly")]
pub(super) fn rows_times_panel(
    x: &[Pair],
    stride: usize,
    panel: &[[Pair; PANEL]],
    out: &mut [&mut [f32]],
    place: &Place,
) {
    assert!(allowed(), "tiles that this CPU lacks");
    let Place { depth, columns } = place;
    assert_eq!(x.len(), out.len().next_multiple_of(ROWS) * stride);
    assert!(panel.len() == depth.len() && panel.len().is_multiple_of(PAIRS) && depth.end <= stride);
    let mut sums = Sums([[0.0; COLUMNS]; ROWS]);
    // SAFETY: the operand is 64 bytes of a valid form.
    unsafe {
        asm!("ldtilecfg [{tiles}]", tiles = in(reg) &raw const TILES, options(nostack, preserves_flags));
    };
    for (x, out) in x.chunks_exact(ROWS * stride).zip(out.chunks_mut(ROWS)) {
        for first in (0..columns.len()).step_by(COLUMNS) {
            let here = columns.start + first..(columns.start + first + COLUMNS).min(columns.end);
            for (sums, out) in sums.0.iter_mut().zip(&*out) {
                match depth.start {
                    0 => *sums = [0.0; COLUMNS],
                    _ => sums[..here.len()].copy_from_slice(&out[here.clone()]),
                }
            }
            multiply(&x[depth.start..], stride, panel, first, &mut sums);
            for (sums, out) in sums.0.iter().zip(&mut *out) {
                out[here.clone()].copy_from_slice(&sums[..here.len()]);
            }
        }
    }
    // SAFETY: nothing is in tiles any more.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
}

/// Adds the products of [`ROWS`] rows, of which `x` begins with the first, and of columns of the panel from `first` on.
#[inline]
#[expect(unsafe_code, reason = "assembly")]
fn multiply(x: &[Pair], stride: usize, panel: &[[Pair; PANEL]], first: usize, sums: &mut Sums) {
    let below = &x[ROWS / 2 * stride..];
    assert!(below.len() >= (ROWS / 2 - 1) * stride + panel.len() && first + COLUMNS <= PANEL);
    let columns = panel.as_flattened()[first..].as_ptr();
    // SAFETY: tiles have the shapes of TILES. What is read of `x` are 16 rows `stride` apart from either slice's first
    // number on, as many numbers of each as the panel has lines; of the panel it is 32 numbers of each line from `first`
    // on; both as asserted. What is written are the sums, and tiles of which the compiler knows.
    unsafe {
        asm!(
            "tileloadd tmm0, [{sums} + {line}]",
            "tileloadd tmm1, [{sums} + {line} + 64]",
            "tileloadd tmm2, [{sums} + {line} + 2048]",
            "tileloadd tmm3, [{sums} + {line} + 2112]",
            "test {count}, {count}",
            "jz 3f",
            "2:",
            "tileloadd tmm4, [{above} + {stride}]",
            "tileloadd tmm5, [{below} + {stride}]",
            "tileloadd tmm6, [{columns} + 2*{line}]",
            "tileloadd tmm7, [{columns} + 2*{line} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {above}, 64",
            "add {below}, 64",
            "add {columns}, 4096",
            "dec {count}",
            "jnz 2b",
            "3:",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 64], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 2112], tmm3",
            sums = in(reg) sums.0.as_mut_ptr(),
            // Bytes of a line of the sums, and half those of a line of the panel.
            line = in(reg) size_of::<[f32; COLUMNS]>(),
            stride = in(reg) stride * size_of::<Pair>(),
            above = inout(reg) x.as_ptr() => _,
            below = inout(reg) below.as_ptr() => _,
            columns = inout(reg) columns => _,
            count = inout(reg) panel.len() / PAIRS => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

const _: () =
    assert!(size_of::<[[f32; COLUMNS]; ROWS / 2]>() == 2048 && size_of::<[[Pair; PANEL]; PAIRS]>() == 4096);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::bits;

    /// Of bfloat16, as the tiles take it: what is too small for a normal number is zero.
    fn number(bits: Pair) -> f32 {
        normal(f32::from_bits(bits << 16))
    }

    fn normal(number: f32) -> f32 {
        if number.is_subnormal() { 0.0 } else { number }
    }

    /// The sum that tiles give, to the bit.
    fn sum(start: f32, row: &[Pair], column: &[Pair]) -> f32 {
        row.chunks(PAIRS).zip(column.chunks(PAIRS)).fold(start, |sum, (row, column)| {
            let (mut first, mut second) = (0.0_f32, 0.0_f32);
            for (one, other) in row.iter().zip(column) {
                first = normal(number(one & 0xffff).mul_add(number(other & 0xffff), first));
                second = normal(number(one >> 16).mul_add(number(other >> 16), second));
            }
            normal(sum + normal(first + second))
        })
    }

    /// Pairs of bfloat16 about 1, and now and then one that is too small for a normal number.
    fn pairs() -> impl Iterator<Item = Pair> {
        let half = |bits: u32| match bits >> 16 {
            bits if bits.is_multiple_of(97) => bits & 0x807f,
            bits => 0x3e00 + (bits & 0x81ff),
        };
        bits(7).zip(bits(8)).map(move |(first, second)| half(first) | half(second) << 16)
    }

    #[test]
    fn tiles_give_what_the_manual_says() {
        if !allowed() {
            println!("skipped: this CPU has no tiles, or Linux does not let this process use them");
            return;
        }
        let mut pairs = pairs();
        for (rows, columns, stride, depth) in [
            (1_usize, 3..4, 16, 0..16),
            (32, 0..64, 32, 0..32),
            (33, 2..35, 48, 16..48),
            (70, 5..64, 80, 32..64),
            (31, 0..33, 1040, 0..1024),
        ] {
            let x: Vec<Pair> = pairs.by_ref().take(rows.next_multiple_of(ROWS) * stride).collect();
            let panel: Vec<[Pair; PANEL]> =
                depth.clone().map(|_| [(); PANEL].map(|()| pairs.next().unwrap())).collect();
            let before: Vec<f32> = (0..rows * 70).map(|at| at as f32 / 64.0).collect();
            let mut found = before.clone();
            let mut out: Vec<&mut [f32]> = found.chunks_mut(70).collect();
            let place = Place { depth: depth.clone(), columns: columns.clone() };
            rows_times_panel(&x, stride, &panel, &mut out, &place);
            let mut expected = before;
            for (row, out) in expected.chunks_mut(70).enumerate() {
                let x = &x[row * stride..][depth.clone()];
                for (at, out) in out[columns.clone()].iter_mut().enumerate() {
                    let column: Vec<Pair> = panel.iter().map(|line| line[at]).collect();
                    *out = sum(if depth.start == 0 { 0.0 } else { *out }, x, &column);
                }
            }
            let as_bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            assert_eq!(as_bits(&found), as_bits(&expected), "{rows} {columns:?} {stride} {depth:?}");
        }
    }
}
