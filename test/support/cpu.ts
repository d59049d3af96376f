/** Milliseconds that this process has computed for: what others do meanwhile on a busy machine counts little. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
