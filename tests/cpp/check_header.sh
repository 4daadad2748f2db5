#!/bin/sh
# The header for C++ covers all of wsabi.h: each function is called, each enumerator has a name. Ends with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

c=include/wsabi.h
cpp=include/wsabi.hpp

# What it leaves out, and why.
left_out='
ws_error_message  its pointer can be taken away by another thread that fails: ws_copy_error_message() is used
'

functions() { grep -v '^typedef' $c | grep -oE '^[a-z].*\bws_[a-z0-9_]+\(' | grep -oE 'ws_[a-z0-9_]+\($' | tr -d '('; }
is_left_out() { echo "$left_out" | grep -q "^$1  "; }
code() { sed 's|//.*||' $cpp; } # what is said in a comment is not yet done

each_function_is_called() {
    missing=0
    for function in $(functions); do
        if code | grep -qE "\b$function(\(|>)"; then
            is_left_out "$function" && echo "$function is used, and need not be excused" && missing=1
        else
            is_left_out "$function" || { echo "$function is not used" && missing=1; }
        fi
    done
    [ "$(functions | wc -l)" -gt 70 ] && [ $missing = 0 ]
}

each_enumerator_has_its_name() {
    sed -n 's/^  \(WS_[A-Z0-9_]*\) = -\{0,1\}[0-9]*,$/\1/p' $c | sort >$scratch/enumerators.txt
    missing=0
    while read -r enumerator; do
        name=$(echo "$enumerator" | sed 's/^WS_\(ERR_\|OPT_\|STATE_\|WANT_\)\{0,1\}//' | tr 'A-Z' 'a-z')
        case $enumerator in
        WS_OK) pattern='!= WS_OK' ;;
        WS_WANT_*) pattern="$enumerator\) != 0" ;;
        *) pattern="\b$name = $enumerator\b" ;;
        esac
        code | grep -qE "$pattern" || { echo "$enumerator has no name" && missing=1; }
    done <$scratch/enumerators.txt
    [ "$(wc -l <$scratch/enumerators.txt)" -gt 60 ] && [ $missing = 0 ]
}

each_type_says_what_it_is() {
    # Types, that is; functions share comments where they differ in a parameter.
    awk '/^namespace detail/ { inside = 1 } /^}  \/\/ namespace detail/ { inside = 0 }
         !inside && /^(class|struct|enum class|template <class T> class) [a-z_]+.* \{$/ && before !~ /^\/\/\// { print; bad = 1 }
         { before = $0 } END { exit bad }' $cpp
}

check each_function_is_called each_function_is_called
check each_enumerator_has_its_name each_enumerator_has_its_name
check each_type_says_what_it_is each_type_says_what_it_is
finish
