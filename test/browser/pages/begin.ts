import { availableBackends, type BackendName } from 'matmulfree';

/** What this browser is. */
export default async function begin(): Promise<{ userAgent: string; backends: BackendName[] }> {
  return { userAgent: navigator.userAgent, backends: await availableBackends() };
}
