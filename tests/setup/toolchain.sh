# Sourced: picks an installed toolchain of the version that rust-toolchain.toml asks for, whatever name it goes by, so that
# rustup does not download what is already there as `stable`.
if command -v rustup >/dev/null 2>&1 && [ -z "${RUSTUP_TOOLCHAIN:-}" ]; then
  wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  installed=$(rustup toolchain list | awk '{ print $1 }')
  if ! grep -q "^$wanted-" <<<"$installed"; then
    for name in $installed; do
      if [ "$(RUSTUP_TOOLCHAIN=$name rustc --version 2>/dev/null | awk '{ print $2 }')" = "$wanted" ]; then
        echo "toolchain: $name is $wanted"
        export RUSTUP_TOOLCHAIN=$name
        break
      fi
    done
  fi
fi
