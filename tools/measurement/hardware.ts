import { arch, cpus, platform, totalmem } from 'node:os';

/** The properties of a machine that affect measurements. */
export interface Hardware {
  platform: string;
  cpuModel: string;
  cpuCount: number;
  memoryGiB: number;
  node: string;
}

export function readHardware(): Hardware {
  const [cpu] = cpus();
  return {
    platform: `${platform()} ${arch()}`,
    cpuModel: cpu?.model.trim() ?? 'unknown processor',
    cpuCount: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

/** Describes the hardware of this machine in one line. */
export function formatHardware(): string {
  const { cpuCount, cpuModel, memoryGiB, platform, node } = readHardware();
  return `${cpuCount} × ${cpuModel}, ${memoryGiB} GiB, ${platform}, Node ${node}`;
}
