import { arch, cpus, platform, totalmem } from 'node:os';

/** The facts about a machine on which measurements depend. */
export interface Hardware {
  system: string;
  processor: string;
  processors: number;
  memoryGiB: number;
  node: string;
}

/** The hardware of this machine. */
export function thisHardware(): Hardware {
  const [cpu] = cpus();
  return {
    system: `${platform()} ${arch()}`,
    processor: cpu?.model.trim() ?? 'unknown processor',
    processors: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

/** The hardware of this machine in one line. */
export function hardwareInOneLine(): string {
  const { processors, processor, memoryGiB, system, node } = thisHardware();
  return `${processors} × ${processor}, ${memoryGiB} GiB, ${system}, Node ${node}`;
}
