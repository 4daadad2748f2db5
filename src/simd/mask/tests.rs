use super::*;

type Apply = fn(&mut [u8], MaskKey) -> bool;
type Copy = fn(&mut [u8], &[u8], MaskKey);

fn variants() -> Vec<(&'static str, Apply, Copy)> {
    let variants: Vec<(&'static str, Apply, Copy)> = vec![
        ("dispatched", apply, copy),
        // SAFETY: the test gives both the same length.
        ("portable", apply_portable, |t, s, k| unsafe { copy_portable(t.as_mut_ptr(), s, k) }),
        ("dispatched", apply, |t, s, k| {
            let mut appended = vec![7; s.len()];
            append(&mut appended, s, k);
            t.copy_from_slice(&appended[s.len()..]);
        }),
    ];
    #[cfg(target_arch = "x86_64")]
    let mut variants = variants;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        variants.push((
            "avx2",
            |d, k| unsafe { apply_avx2(d, k) },
            |t, s, k| unsafe { copy_avx2(t.as_mut_ptr(), s, k) },
        ));
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has AVX-512 F and BW.
        variants.push(("avx512", |d, k| unsafe { apply_avx512(d, k) }, copy));
    }
    variants
}

#[test]
fn every_variant_equals_a_byte_loop_at_every_alignment_and_length() {
    let key = MaskKey::from([0x12, 0x83, 0x5a, 0xf1]);
    for (name, apply, copy) in variants() {
        for (alignment, ascii) in (0..64).flat_map(|alignment| [(alignment, 0xff), (alignment, 0)]) {
            for len in (0..=200).chain([255, 256, 257, 300, 511, 512, 513, 600, 1000]) {
                let plain: Vec<u8> = (0..len).map(|i| (i * 37 + alignment) as u8 & ascii).collect();
                let expected: Vec<u8> =
                    plain.iter().zip(key.bytes().iter().cycle()).map(|(b, k)| b ^ k).collect();
                let mut memory = vec![0xee; 64 + len + 64];
                memory[alignment..alignment + len].copy_from_slice(&plain);
                let high = apply(&mut memory[alignment..alignment + len], key);
                assert_eq!(memory[alignment..alignment + len], expected, "{name} {alignment} {len}");
                assert_eq!(high, !expected.is_ascii(), "{name} {alignment} {len}");
                assert!(memory[..alignment].iter().chain(&memory[alignment + len..]).all(|b| *b == 0xee));
                let mut target = vec![0; len];
                copy(&mut target, &plain, key);
                assert_eq!(target, expected, "{name} copy {len}");
            }
        }
    }
}

#[test]
fn the_ascii_front_ends_before_the_first_byte_over_127_in_every_variant() {
    type Prefix = fn(&[u8]) -> usize;
    let variants: Vec<(&str, Prefix)> =
        vec![("dispatched", ascii_prefix), ("portable", ascii_prefix_portable)];
    #[cfg(target_arch = "x86_64")]
    let mut variants = variants;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        variants.push(("avx2", |data| unsafe { ascii_prefix_avx2(data) }));
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has AVX-512 F and BW.
        variants.push(("avx512", |data| unsafe { ascii_prefix_avx512(data) }));
    }
    let lengths = (0..200).chain([511, 512, 2111, 2112, 2113, 5000]);
    for len in lengths {
        let mut memory = vec![0xff; len + 2];
        let text = &mut memory[1..=len];
        text.fill(0x7f);
        for (name, prefix) in &variants {
            assert_eq!(prefix(text), len, "{name}");
        }
        for at in (0..len).filter(|at| len < 200 || at % 61 == 0 || len - at < 70) {
            text[at] = 0x80;
            for (name, prefix) in &variants {
                let found = prefix(text);
                assert!(
                    found <= at && found % 64 == 0 && at - found < CHUNK,
                    "{name} {at} of {len}: {found}"
                );
            }
            text[at] = 0x7f;
        }
    }
}

#[test]
fn a_key_advanced_by_n_masks_what_follows_n_bytes() {
    let key = MaskKey::from([1, 2, 3, 4]);
    for split in 0..40 {
        let mut whole = [7u8; 40];
        let mut parts = whole;
        apply(&mut whole, key);
        let (head, tail) = parts.split_at_mut(split);
        apply(head, key);
        apply(tail, key.advanced(split));
        assert_eq!(whole, parts);
    }
}

#[test]
fn keys_are_new_each_time_and_in_each_thread() {
    let draw = || (0..1000).map(|_| MaskKey::random().unwrap().bytes()).collect::<Vec<_>>();
    let mut keys = draw();
    keys.extend(std::thread::spawn(draw).join().unwrap());
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() >= 1998, "{} of 2000 keys differ", keys.len());
}
