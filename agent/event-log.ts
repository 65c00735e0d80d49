/** Facts for people and machines who look into a run: an event name and its fields. Nothing per chunk above debug. */
export type EventLog = {
  debug(event: string, fields: object): void;
  info(event: string, fields: object): void;
  warn(event: string, fields: object): void;
};

export const silentLog: EventLog = { debug: () => undefined, info: () => undefined, warn: () => undefined };
