/**
 * LibTorch's threads wait for each other in a busy loop, which on a machine with other work can slow training down twentyfold.
 * Sleeping instead costs next to nothing where they are alone. OpenMP reads this when LibTorch is loaded.
 */
export function letThreadsSleep(): void {
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
}
