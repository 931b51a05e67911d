#!/bin/sh
# A compiler and a cargo for the tests of `find.rs`: the name under which it is called says which, and the folder above
# that is its sysroot.
root=$(cd "$(dirname "$0")/.." && pwd)
case "$(basename "$0") $*" in
"rustc --print sysroot") echo "$root" ;;
"rustc -vV")
    printf 'rustc 9.9.9\nhost: made-up\nrelease: 9.9.9\ncommit-hash: 0123456789abcdef\nLLVM version: 77.1.0\n'
    ;;
"rustc --print target-libdir --target wasm32-unknown-unknown")
    echo "$root/lib/rustlib/wasm32-unknown-unknown/lib"
    ;;
"cargo build "*)
    echo "bootstrap=$RUSTC_BOOTSTRAP flags=$RUSTFLAGS" >>"$root/builds"
    test ! -e "$root/broken" || exit 1
    for target do :; done
    mkdir -p "$target/wasm32-unknown-unknown/release/deps"
    cd "$target/wasm32-unknown-unknown/release/deps" && touch libcore-1.rlib libstd_stub-1.rlib libcore-1.rmeta
    ;;
*) exit 1 ;;
esac
