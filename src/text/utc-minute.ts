/** Formats an ISO time for people, to the minute: `2026-01-31 09:05 UTC`. */
export const formatUtcMinute = (time: string): string => `${time.slice(0, 16).replace('T', ' ')} UTC`;
